import { type Entry, promptKey } from "#protocol/entry"
import type { AgentPart } from "./agent-store.ts"
import { canonical } from "./canonical.ts"
import type { Recording, Seen } from "./recording.ts"

const TERMINAL = ["succeeded", "failed", "stopped", "interrupted"]
const LIVE = ["dispatched", "running"]
const LIVE_TOOL = ["pending", "running"]

/** Where a session at rest breaks one of I1–I6 (design: quality), each with the rule's id. */
export function offencesOf(recording: Recording): string[] {
  const byPlace = recording.entries.toSorted((a, b) => a.firstSeq - b.firstSeq)
  return [
    ...storageOffences(recording),
    ...recording.viewers.flatMap((viewer) => viewerOffences(viewer, byPlace, recording.upTo)),
    ...recording.attempts.flatMap((attempt) => attemptOffences(attempt, recording)),
    ...recording.prompts.flatMap((prompt) => promptOffences(prompt, recording)),
    ...agentOffences(recording),
    ...openOffences(recording),
  ]
}

/** [I2] Stored once: no two rows share a key, a number or a place, and the pages hold all rows in order. */
function storageOffences({ entries, counts }: Recording): string[] {
  const offences: string[] = []
  const seqs = entries.map(({ seq }) => seq)
  if (!isAscending(seqs)) offences.push(`I2 the history's pages are not in order of seq: ${seqs}`)
  const rows = entries.length
  const expected = canonical({ rows, keys: rows, seqs: rows, firsts: rows })
  if (canonical(counts) !== expected) {
    offences.push(`I2 ${rows} entries stand in the table as ${canonical(counts)}`)
  }
  return offences
}

/** [I1][I3] A viewer holds what is stored, all of it and nothing else. [I5] What it was ever shown is or was stored. */
function viewerOffences({ name, ...viewer }: Seen, byPlace: Entry[], upTo: number): string[] {
  const offences = viewer.offences.map((offence) => `${offence} (${name})`)
  if (viewer.seq > upTo) offences.push(`I5 ${name} is at ${viewer.seq}, stored is ${upTo}`)
  const history = byPlace.map(canonical)
  const different = history.findIndex((entry, index) => viewer.screen[index] !== entry)
  if (different >= 0) {
    const held = viewer.screen[different]
    offences.push(`I1 ${name} lacks or differs at ${different}: ${history[different]} is ${held}`)
  } else if (viewer.screen.length > history.length) {
    offences.push(`I5 ${name} holds what is not stored: ${viewer.screen[history.length]}`)
  }
  const stored = new Map(byPlace.map((entry) => [entry.key, entry]))
  for (const [version, json] of viewer.versions) {
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

/** [I4] An attempt has ended, in one way, and is shown to have ended so. */
function attemptOffences(
  { promptId, number, state, ended }: Recording["attempts"][number],
  { viewers }: Recording,
): string[] {
  const offences: string[] = []
  const name = `${promptId} attempt ${number}`
  if (LIVE.includes(state)) offences.push(`I4 ${name} has not ended: ${state}`)
  if (ended !== TERMINAL.includes(state)) offences.push(`I4 ${name} is ${state}, ended ${ended}`)
  const ends = endsShown(viewers, promptId, number)
  if (ends.size > 1) offences.push(`I4 ${name} was shown to end as ${[...ends].join(" and ")}`)
  if (ended && ends.size > 0 && !ends.has(state)) {
    offences.push(`I4 ${name} is ${state} but was shown as ${[...ends].join()}`)
  }
  return offences
}

/** [I4] A prompt has one row, is carried out at most once an attempt, and stands in the timeline as it is. */
function promptOffences(
  { id, state, attempt, executions }: Recording["prompts"][number],
  { entries }: Recording,
): string[] {
  const offences: string[] = []
  const entry = entries.find(({ key }) => key === promptKey(id))
  const shown = entry?.kind === "prompt" ? `${entry.state} ${entry.attempt}` : "queued 0"
  const isWaiting = state === "queued" || state === "withdrawn"
  if (!isWaiting && shown !== `${state} ${attempt}`) {
    offences.push(`I4 ${id} is ${state} ${attempt}, in the timeline ${shown}`)
  }
  if (LIVE.includes(state)) offences.push(`I4 ${id} has not ended: ${state}`)
  if (executions === null) return offences
  if (executions > attempt) {
    offences.push(`I4 ${id} was carried out ${executions} times in ${attempt} attempts`)
  }
  if (state === "succeeded" && executions === 0) {
    offences.push(`I4 ${id} succeeded without being carried out`)
  }
  return offences
}

function endsShown(viewers: Seen[], promptId: string, attempt: number): Set<string> {
  const ends = new Set<string>()
  for (const { versions } of viewers) {
    for (const [version, json] of versions) {
      if (!version.startsWith(`${promptKey(promptId)}@`)) continue
      const entry: Entry = JSON.parse(json)
      if (entry.kind !== "prompt" || entry.attempt !== attempt) continue
      if (TERMINAL.includes(entry.state)) ends.add(entry.state)
    }
  }
  return ends
}

/** [I6] Every part that the agent completed is in the timeline as it stored it, and in its order. */
function agentOffences({ agentParts, entries }: Recording): string[] {
  const byKey = new Map(entries.map((entry) => [entry.key, entry]))
  const offences = agentParts.flatMap((part) => partOffences(part, byKey.get(part.id)))
  const places = agentParts.flatMap(({ id }) => byKey.get(id)?.firstSeq ?? [])
  if (!isAscending(places)) offences.push(`I6 the agent's parts are out of order: ${places}`)
  return offences
}

function partOffences(part: AgentPart, entry: Entry | undefined): string[] {
  if (part.type === "text" || part.type === "reasoning") {
    if (part.time?.end === undefined || part.text === "") return []
    const text = entry?.kind === part.type ? entry.text : undefined
    return text === part.text ? [] : [differs(part.id, part.text, text)]
  }
  if (part.type !== "tool" || part.tool === "todowrite" || part.state.status !== "completed") {
    return []
  }
  const output = entry?.kind === "tool" ? `${entry.state}: ${entry.output}` : undefined
  const wanted = `completed: ${part.state.output}`
  return output === wanted ? [] : [differs(part.id, wanted, output)]
}

const differs = (id: string, wanted: string, found: string | undefined) =>
  `I6 ${id}: stored by the agent ${JSON.stringify(wanted)}, in the timeline ${JSON.stringify(found)}`

/** [D10] No turn left parts open. */
function openOffences({ entries }: Recording): string[] {
  return entries.flatMap((entry) => {
    const isText = entry.kind === "text" || entry.kind === "reasoning"
    const isOpen = entry.kind === "tool" ? LIVE_TOOL.includes(entry.state) : isText && !entry.done
    return isOpen ? [`D10 ${entry.key} is still open: ${canonical(entry)}`] : []
  })
}

const isAscending = (numbers: number[]) =>
  numbers.every((number, index) => index === 0 || number > (numbers[index - 1] ?? 0))
