import { type Entry, type EntryOf, errorKey, promptKey } from "#protocol/entry"
import { nameOf } from "../parts/server.ts"
import type { EndOfHistory } from "./end-of-history.ts"

const TERMINAL = ["succeeded", "failed", "stopped", "interrupted"]

/** I4, D1, D9, D13: one row a prompt, one end an attempt, no execution that nobody asked for. */
export function promptOffences(end: EndOfHistory): string[] {
  return [
    ...rowOffences(end),
    ...attemptOffences(end),
    ...end.prompts.flatMap((prompt) => executionOffences(end, prompt)),
  ]
}

/** D1: what was sent and answered is there, with the text that was sent or edited. */
function rowOffences({ world, prompts, session }: EndOfHistory): string[] {
  const { deeds } = world
  const offences: string[] = []
  const byId = new Map(prompts.map((prompt) => [prompt.id, prompt]))
  for (const promptId of deeds.accepted) {
    if (!byId.has(promptId)) offences.push(`[D1] ${promptId} was accepted and is not there`)
  }
  for (const { id, text, state, attempt } of prompts) {
    const sent = deeds.sent.get(id)
    const texts = new Set([sent?.text ?? "please do the first", ...(deeds.edits.get(id) ?? [])])
    if (!texts.has(text)) offences.push(`[D1] ${id} says ${text}`)
    if (state === "withdrawn" && !deeds.withdrawals.has(id) && session.endedAt === null) {
      offences.push(`[D11] ${id} was withdrawn by nobody`)
    }
    if (state !== "queued" && state !== "withdrawn" && !TERMINAL.includes(state)) {
      offences.push(`[I4] ${id} is ${state} at rest`)
    }
    if (TERMINAL.includes(state) && attempt === 0) offences.push(`[I4] ${id} ended unclaimed`)
  }
  return offences
}

/** D9: the end that the room told first is the attempt's end everywhere. */
function attemptOffences({ world, attempts, prompts, entries }: EndOfHistory): string[] {
  const offences: string[] = []
  for (const { promptId, number, state } of attempts) {
    const name = nameOf({ promptId, attempt: number })
    if (!TERMINAL.includes(state)) offences.push(`[I4] ${name} has not ended`)
    const told = [...(world.web.ends.get(name)?.values() ?? [])]
    if (told.length > 1) offences.push(`[I4] ${name} ended ${told.length} times: ${told.join()}`)
    if (told.length === 1 && told[0] !== state) {
      offences.push(`[D9] ${name} is ${state} in PostgreSQL, ${told[0]} in the room`)
    }
    if (told.length === 0 && wasInRoom(world, promptId, number)) {
      offences.push(`[D9] ${name} is ${state}, but the room had it and never told its end`)
    }
  }
  for (const { id, state, attempt } of prompts) {
    const entry = entries.get(promptKey(id))
    if (!TERMINAL.includes(state) || entry?.kind !== "prompt") continue
    if (entry.attempt === attempt && entry.state !== state) {
      offences.push(`[D9] ${id} is ${state}, in the timeline ${entry.state}`)
    }
    const isSteer = attempts.some((each) => each.promptId === id && each.steer)
    if (!isSteer && !isExplained(entry, entries)) {
      offences.push(`[R58] ${id} is ${state}, and the timeline does not say why`)
    }
  }
  return offences
}

/** What ended its host stands in the host's name, so this holds for prompts with a turn of their own. */
function isExplained(prompt: EntryOf<"prompt">, entries: EndOfHistory["entries"]): boolean {
  const { promptId, attempt, state, error } = prompt
  if (state !== "failed" && state !== "interrupted") return true
  const told = entries.get(errorKey(promptId, attempt))
  return told?.kind === "error" && told.reason === error?.reason && told.message === error.message
}

function wasInRoom(world: EndOfHistory["world"], promptId: string, attempt: number): boolean {
  for (const { key, body } of world.room.world.store.history.values()) {
    if (key !== promptKey(promptId)) continue
    const entry: Entry = JSON.parse(body)
    if (entry.kind === "prompt" && entry.attempt === attempt) return true
  }
  return false
}

/** I4, D13: a prompt is carried out once, and once more for each retry that was asked for. */
function executionOffences(
  { world, attempts }: EndOfHistory,
  { id, text, state }: EndOfHistory["prompts"][number],
): string[] {
  const mark = text.split(" / ")[0] ?? text
  const taken = world.machines.agent.taken.filter(
    (prompt) => (prompt.text.split(" / ")[0] ?? "") === mark,
  )
  const offences: string[] = []
  const messages = new Set(taken.map(({ messageId }) => messageId))
  if (messages.size !== taken.length) offences.push(`[D6] ${id} was sent twice under one id`)
  const allowed = 1 + (world.deeds.retries.get(id) ?? 0)
  const tries = attempts.filter(({ promptId }) => promptId === id).length
  if (taken.length > Math.min(allowed, tries)) {
    offences.push(
      `[I4] ${id} was carried out ${taken.length} times in ${tries} attempts with ${allowed - 1} retries`,
    )
  }
  if (state === "succeeded" && taken.length === 0) {
    offences.push(`[I4] ${id} succeeded and was never carried out`)
  }
  return offences
}
