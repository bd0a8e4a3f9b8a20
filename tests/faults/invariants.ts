import * as z from "zod"
import { parseCursor } from "#protocol/cursor"
import { type Entry, promptKey, promptStateSchema } from "#protocol/entry"
import { agentParts } from "./agent-store.ts"
import type { FaultSession } from "./fault-session.ts"
import { markOf } from "./script.ts"
import { until } from "./until.ts"
import { canonical, Viewer } from "./viewer.ts"

/** How long after a fault everybody may take to hold the same. */
const SETTLED_WITHIN_MS = 30_000
const PAGE_LIMIT = 500

const TERMINAL = ["succeeded", "failed", "stopped", "interrupted"]
const LIVE = ["dispatched", "running"]

/**
 * Asserts I1–I6 (design: quality) on the database, on every viewer and one that comes just now, and against what the
 * agent stored. Waits until they agree, and throws with all that does not.
 */
export async function assertInvariants(session: FaultSession): Promise<void> {
  const newcomer = await until("the API to let a viewer in", SETTLED_WITHIN_MS, () =>
    Viewer.open(session.stack, session.id),
  )
  const viewers = [...session.viewers, newcomer]
  let offences: string[] = []
  try {
    await until("all to hold the same", SETTLED_WITHIN_MS, async () => {
      offences = await offencesOf(session, viewers)
      return offences.length === 0
    })
  } catch (error) {
    const [first, ...others] = offences
    if (first === undefined) throw error
    const shown = [first, ...others.slice(0, 9)].map((offence) => `  ${offence.slice(0, 600)}`)
    throw new Error(`${offences.length} invariants are broken:\n${shown.join("\n")}`)
  } finally {
    newcomer.close()
  }
}

async function offencesOf(session: FaultSession, viewers: Viewer[]): Promise<string[]> {
  const stored = await readTimeline(session)
  return [
    ...stored.offences,
    ...(await storageOffences(session, stored.entries)),
    ...viewers.flatMap((viewer, index) => viewerOffences(`viewer ${index}`, viewer, stored)),
    ...(await promptOffences(session, stored.entries)),
    ...agentOffences(session, stored.entries),
  ]
}

type Timeline = { entries: Entry[]; upTo: number; offences: string[] }

/** The whole history as the API pages it. */
async function readTimeline({ stack, id: sessionId }: FaultSession): Promise<Timeline> {
  const entries: Entry[] = []
  const offences: string[] = []
  for (let since = "0"; ; ) {
    const page = await stack.api.timeline.page.query({ sessionId, since, limit: PAGE_LIMIT })
    entries.push(...page.items)
    since = page.upTo
    if (page.hasMore) continue
    const seqs = entries.map(({ seq }) => seq)
    if (!isAscending(seqs)) offences.push(`I2 timeline.page is not in order of seq: ${seqs}`)
    const inOrder = entries.toSorted((a, b) => a.firstSeq - b.firstSeq)
    return { entries: inOrder, upTo: parseCursor(page.upTo).seq, offences }
  }
}

const countSchema = z.object({ keys: z.int(), seqs: z.int(), firsts: z.int(), rows: z.int() })

/** [I2] Stored once: no two rows share a key, a number or a place. */
async function storageOffences(session: FaultSession, entries: Entry[]): Promise<string[]> {
  const [counts] = await session.stack.rows(
    countSchema,
    `SELECT count(*)::int AS rows, count(DISTINCT key)::int AS keys, count(DISTINCT seq)::int AS seqs,
       count(DISTINCT "firstSeq")::int AS firsts FROM "Entry" WHERE "sessionId" = $1`,
    [session.id],
  )
  const expected = canonical({
    rows: entries.length,
    keys: entries.length,
    seqs: entries.length,
    firsts: entries.length,
  })
  return canonical(counts) === expected
    ? []
    : [`I2 ${entries.length} entries stand in the table as ${canonical(counts)}`]
}

/** [I1][I3] A viewer holds what is stored, all of it and nothing else. [I5] What it was ever shown is or was stored. */
function viewerOffences(name: string, viewer: Viewer, { entries, upTo }: Timeline): string[] {
  const screen = viewer.screen()
  const history = entries.map(canonical)
  const offences = viewer.offences.map((offence) => `I5/I6 ${name}: ${offence}`)
  if (viewer.log.cursor.seq > upTo) {
    offences.push(`I5 ${name} is at ${viewer.log.cursor.seq}, stored is ${upTo}`)
  }
  const different = history.findIndex((entry, index) => screen[index] !== entry)
  if (different >= 0) {
    offences.push(
      `I1 ${name} lacks or differs at ${different}: ${history[different]} is ${screen[different]}`,
    )
  } else if (screen.length > history.length) {
    offences.push(`I5 ${name} holds what is not stored: ${screen[history.length]}`)
  }
  const stored = new Map(entries.map((entry) => [entry.key, entry]))
  for (const [version, json] of viewer.shown) {
    const at = version.lastIndexOf("@")
    const newest = stored.get(version.slice(0, at))
    const seq = Number(version.slice(at + 1))
    if (!newest || newest.seq < seq) offences.push(`I5 ${name} was shown ${version}: ${json}`)
    else if (newest.seq === seq && canonical(newest) !== json) {
      offences.push(`I5 ${name} was shown another ${version}: ${json}, not ${canonical(newest)}`)
    }
  }
  return offences
}

const promptSchema = z.object({
  id: z.string(),
  text: z.string(),
  state: promptStateSchema,
  attempt: z.int(),
})
const attemptSchema = z.object({
  promptId: z.string(),
  number: z.int(),
  state: promptStateSchema,
  ended: z.boolean(),
})

/** [I4] One row a prompt, one terminal state an attempt, carried out at most once an attempt, shown as it is. */
async function promptOffences(session: FaultSession, entries: Entry[]): Promise<string[]> {
  const { stack, id } = session
  const prompts = await stack.rows(
    promptSchema,
    `SELECT id, text, state, attempt FROM "Prompt" WHERE "sessionId" = $1`,
    [id],
  )
  const attempts = await stack.rows(
    attemptSchema,
    `SELECT "promptId", number, state, "endedAt" IS NOT NULL AS ended FROM "Attempt" WHERE "sessionId" = $1`,
    [id],
  )
  const offences: string[] = []
  if (attempts.filter(({ state }) => LIVE.includes(state)).length > 1) {
    offences.push(`I4 more than one attempt is live: ${canonical(attempts)}`)
  }
  for (const { promptId, number, state, ended } of attempts) {
    const name = `${promptId} attempt ${number}`
    if (ended !== TERMINAL.includes(state)) offences.push(`I4 ${name} is ${state}, ended ${ended}`)
    const ends = endsShown(session.viewers, promptId, number)
    if (ends.size > 1) offences.push(`I4 ${name} was shown to end as ${[...ends].join(" and ")}`)
    if (ended && ends.size > 0 && !ends.has(state)) {
      offences.push(`I4 ${name} is ${state} but was shown as ${[...ends].join()}`)
    }
  }
  for (const { id: promptId, text, state, attempt } of prompts) {
    const entry = entries.find(({ key }) => key === promptKey(promptId))
    const shown = entry?.kind === "prompt" ? `${entry.state} ${entry.attempt}` : "queued 0"
    const isWaiting = state === "queued" || state === "withdrawn"
    if (!isWaiting && shown !== `${state} ${attempt}`) {
      offences.push(`I4 ${promptId} is ${state} ${attempt}, in the timeline ${shown}`)
    }
    if (LIVE.includes(state)) offences.push(`I4 ${promptId} has not ended: ${state}`)
    const times = session.executions(markOf(text))
    if (times > attempt) {
      offences.push(`I4 ${promptId} was carried out ${times} times in ${attempt} attempts`)
    }
    if (state === "succeeded" && times === 0) {
      offences.push(`I4 ${promptId} succeeded without being carried out`)
    }
  }
  return offences
}

function endsShown(viewers: Viewer[], promptId: string, attempt: number): Set<string> {
  const ends = new Set<string>()
  for (const viewer of viewers) {
    for (const [version, json] of viewer.shown) {
      if (!version.startsWith(`${promptKey(promptId)}@`)) continue
      const entry: Entry = JSON.parse(json)
      if (entry.kind !== "prompt" || entry.attempt !== attempt) continue
      if (TERMINAL.includes(entry.state)) ends.add(entry.state)
    }
  }
  return ends
}

/** [I6] Every part that the agent completed is in the timeline as it stored it, in its order; no turn left parts open. */
function agentOffences({ directory }: FaultSession, entries: Entry[]): string[] {
  const byKey = new Map(entries.map((entry) => [entry.key, entry]))
  const offences: string[] = []
  const places: number[] = []
  for (const part of agentParts(directory)) {
    const entry = byKey.get(part.id)
    if (part.type === "text" || part.type === "reasoning") {
      if (part.time?.end === undefined || part.text === "") continue
      const text = entry?.kind === part.type ? entry.text : undefined
      if (text !== part.text) offences.push(differs("I6", part.id, part.text, text))
    } else if (part.type === "tool") {
      if (part.tool === "todowrite" || part.state.status !== "completed") continue
      const output = entry?.kind === "tool" ? `${entry.state}: ${entry.output}` : undefined
      const wanted = `completed: ${part.state.output}`
      if (output !== wanted) offences.push(differs("I6", part.id, wanted, output))
    }
    if (entry) places.push(entry.firstSeq)
  }
  if (!isAscending(places)) offences.push(`I6 the agent's parts are out of order: ${places}`)
  for (const entry of entries) {
    const isText = entry.kind === "text" || entry.kind === "reasoning"
    const isTool = entry.kind === "tool"
    const isOpen = isTool ? LIVE_TOOL.includes(entry.state) : isText && !entry.done
    if (isOpen) offences.push(`D10 ${entry.key} is still open: ${canonical(entry)}`)
  }
  return offences
}

const LIVE_TOOL = ["pending", "running"]

const differs = (rule: string, id: string, wanted: string, found: string | undefined) =>
  `${rule} ${id}: stored by the agent ${JSON.stringify(wanted)}, in the timeline ${JSON.stringify(found)}`

const isAscending = (numbers: number[]) =>
  numbers.every((number, index) => index === 0 || number > (numbers[index - 1] ?? 0))
