import type { DraftEntryOf } from "#protocol/entry"
import type { PromptId } from "#protocol/ids"

/** A text or reasoning part that the model is still writing. */
export type OpenText = {
  kind: "text" | "reasoning"
  messageId: string
  /** What the room was sent, as checkpoints and deltas. Empty: no entry yet. */
  text: string
  /** A high surrogate that waits for its other half. */
  held: string
  /** Length of the last checkpoint. */
  checkpointed: number
  /** Pieces may have been missed. */
  torn: boolean
}

/** A text or reasoning part that has ended, as the room was sent it. */
export type ClosedText = { messageId: string; entry: DraftEntryOf<"text" | "reasoning"> }

export type ToolCall = {
  /** What the room was sent. */
  entry: DraftEntryOf<"tool">
  messageId: string
  emittedAtMs: number
  /** A newer version that waits because updates came too fast. */
  waiting: DraftEntryOf<"tool"> | null
}

/** All that translating one turn has to remember. A value: every change makes a new one. */
export type TurnState = {
  turnId: PromptId
  /** The agent's session of this turn and the sessions of its sub-agents. */
  sessions: ReadonlySet<string>
  rootSessionId: string
  /** Our own message; older ones belong to earlier turns. */
  messageId: string
  /** Messages whose parts are no entries: what the person or the agent itself asked, condensed conversations. */
  silent: ReadonlySet<string>
  open: ReadonlyMap<string, OpenText>
  closed: ReadonlyMap<string, ClosedText>
  tools: ReadonlyMap<string, ToolCall>
  /** Last todo list sent, as JSON. */
  todo: string
  /** Keys of the finished calls that wrote it. */
  todoCalls: ReadonlySet<string>
}

export function startTurnState(
  turnId: PromptId,
  rootSessionId: string,
  messageId: string,
): TurnState {
  return {
    turnId,
    sessions: new Set([rootSessionId]),
    rootSessionId,
    messageId,
    silent: new Set([messageId]),
    open: new Map(),
    closed: new Map(),
    tools: new Map(),
    todo: "",
    todoCalls: new Set(),
  }
}

/** The entry key of a part; parts of sub-agents carry their session, so that a viewer can tell whose they are. */
export function partKey(state: TurnState, part: { id: string; sessionID: string }): string {
  return part.sessionID === state.rootSessionId ? part.id : `${part.sessionID}/${part.id}`
}

export function withEntry<Key, Value>(map: ReadonlyMap<Key, Value>, key: Key, value: Value) {
  return new Map(map).set(key, value)
}

export function withoutKey<Key, Value>(map: ReadonlyMap<Key, Value>, key: Key) {
  const rest = new Map(map)
  rest.delete(key)
  return rest
}

export function withMember<Member>(set: ReadonlySet<Member>, member: Member): ReadonlySet<Member> {
  return set.has(member) ? set : new Set(set).add(member)
}
