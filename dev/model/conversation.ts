/**
 * One request to the model, in the same words for every wire form: who said what, which tools are
 * offered, and whether the answer is streamed.
 */
export type ToolCall = { id: string; name: string; input: unknown }

export type Turn =
  | { role: "user"; text: string }
  | { role: "assistant"; calls: ToolCall[] }
  | { role: "tool"; callId: string; output: string }

export type Conversation = {
  model: string
  stream: boolean
  /** False when the caller did not ask for usage in a stream that reports it on request only. */
  streamUsage: boolean
  system: string
  toolNames: string[]
  turns: Turn[]
}

/** A request that cannot be answered; its message is a sentence for the person who wrote it. */
export class RequestRefused extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.name = "RequestRefused"
    this.status = status
  }
}

/** The directory OpenCode names in its system prompt, or undefined when the prompt has no such line. */
export function workingDirectory(system: string): string | undefined {
  return /^[ \t]*Working directory: (.+?)[ \t]*$/m.exec(system)?.[1]
}

/** The turns after the last one of a person. */
export function sinceLastUser(turns: Turn[]): Turn[] {
  return turns.slice(turns.findLastIndex((turn) => turn.role === "user") + 1)
}
