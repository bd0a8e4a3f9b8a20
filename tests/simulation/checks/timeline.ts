import { type Entry, statusKey } from "#protocol/entry"
import { storableText } from "#protocol/text"
import type { StoredPart } from "../parts/agent-store.ts"
import { canonical } from "./canonical.ts"
import type { EndOfHistory } from "./end-of-history.ts"

const FINISHED = ["completed", "error"]
const TERMINAL = ["succeeded", "failed", "stopped", "interrupted"]

/** I1, I2, I3: the room, PostgreSQL and every viewer hold the same; D10, R10: nothing moves after a turn's end. */
export function timelineOffences(end: EndOfHistory): string[] {
  return [
    ...roomOffences(end),
    ...viewerOffences(end),
    ...statusOffences(end),
    ...openOffences(end),
    ...lateOffences(end),
  ]
}

function roomOffences({ world, entries }: EndOfHistory): string[] {
  const { store } = world.room.world
  const offences: string[] = []
  for (const [key, { seq, firstSeq }] of store.entries) {
    const body = store.history.get(seq)?.body
    const stored = entries.get(key)
    if (!body || !stored) offences.push(`[I2] ${key} is not in PostgreSQL`)
    else if (canonical(JSON.parse(body)) !== canonical(stored)) {
      offences.push(`[I2] ${key} is ${canonical(stored)} in PostgreSQL, ${body} in the room`)
    }
    if (stored && stored.firstSeq !== firstSeq) offences.push(`[E2] ${key} moved its firstSeq`)
  }
  const seqs = new Set([...entries.values()].map(({ seq }) => seq))
  const firsts = new Set([...entries.values()].map(({ firstSeq }) => firstSeq))
  if (entries.size !== store.entries.size) offences.push("[I2] PostgreSQL has other keys")
  if (seqs.size !== entries.size || firsts.size !== entries.size) {
    offences.push("[I2] two entries share a number")
  }
  return offences
}

function viewerOffences({ world, entries }: EndOfHistory): string[] {
  const offences: string[] = []
  for (const { name, log } of world.watchers) {
    for (const [key, entry] of entries) {
      const held = canonical(log.entries.get(key) ?? null)
      if (held !== canonical(entry)) {
        offences.push(`[I3] ${name} holds ${key} as ${held}, stored is ${canonical(entry)}`)
      }
    }
    if (log.entries.size !== entries.size) offences.push(`[I3] ${name} holds what is not stored`)
    const places = log.order.map((key) => entries.get(key)?.firstSeq ?? 0)
    if (places.some((place, index) => index > 0 && place <= (places[index - 1] ?? 0))) {
      offences.push(`[E4] ${name} holds the timeline in another order`)
    }
  }
  return offences
}

/** R50: every status change stands in the timeline, once. */
function statusOffences({ entries, changes }: EndOfHistory): string[] {
  return changes.flatMap(({ version, status, reason }) => {
    const entry = entries.get(statusKey(version))
    const isTold = entry?.kind === "status" && entry.status === status && entry.reason === reason
    return isTold
      ? []
      : [`[R50] status ${version} ${status} is told as ${canonical(entry ?? null)}`]
  })
}

function openOffences({ entries, world }: EndOfHistory): string[] {
  const { openTexts, openTools } = world.room.world.state
  const offences = [...openTexts.keys(), ...openTools.keys()].map((key) => `[R10] ${key} is open`)
  for (const entry of entries.values()) {
    const isOpen =
      ((entry.kind === "text" || entry.kind === "reasoning") && !entry.done) ||
      (entry.kind === "tool" && (entry.state === "pending" || entry.state === "running"))
    if (isOpen) offences.push(`[D10] ${entry.key} was never closed`)
  }
  return offences
}

/**
 * D10: after a turn's end its entries do not change any more, unless it is tried again, or the agent died before it was
 * heard that it had finished one.
 */
function lateOffences({ world }: EndOfHistory): string[] {
  const offences: string[] = []
  const newest = new Map<string, string>()
  let live: string | null = null
  const versions = [...world.room.world.store.history].sort(([a], [b]) => a - b)
  for (const [seq, { key, body }] of versions) {
    const entry: Entry = JSON.parse(body)
    const { seq: _seq, at: _at, firstSeq: _firstSeq, ...said } = entry
    const content = canonical(said)
    if (entry.kind === "prompt") {
      // A steer joins the turn of another prompt, which goes on after it.
      const isOwn = entry.turnId === entry.promptId
      if (isOwn) live = TERMINAL.includes(entry.state) ? null : entry.promptId
    } else if (entry.turnId !== null && entry.turnId !== live && newest.get(key) !== content) {
      if (!isFinishedByAgent(world.machines.agent.parts.get(key), entry)) {
        offences.push(`[D10] ${key} of ${entry.turnId} changed at ${seq}, after the turn's end`)
      }
    }
    newest.set(key, content)
  }
  return offences
}

/** The entry says of a part that is finished what the agent's own store says of it. */
function isFinishedByAgent(part: StoredPart | undefined, entry: Entry): boolean {
  if (entry.kind === "tool") {
    return FINISHED.includes(entry.state) && entry.state === part?.state?.status
  }
  const isText = entry.kind === "text" || entry.kind === "reasoning"
  const isOver = part?.time?.end !== undefined
  return isText && entry.done && isOver && entry.text === storableText(part.text ?? "")
}
