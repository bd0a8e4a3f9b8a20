import { expect, test } from "vitest"
import { type Entry, entrySchema } from "#protocol/entry"
import { applyFrame, emptyLog } from "#protocol/session-log"
import type { AgentPart } from "./agent-store.ts"
import { canonical } from "./canonical.ts"
import { offencesOf } from "./checks.ts"
import type { Recording, Seen } from "./recording.ts"
import { Shown } from "./shown.ts"

const AT = "2026-11-22T12:00:00.000Z"

const entry = (seq: number, firstSeq: number, draft: object): Entry =>
  entrySchema.parse({ turnId: "p1", seq, firstSeq, at: AT, ...draft })

const promptEntry = (state: string) => ({
  key: "prompt:p1",
  kind: "prompt",
  promptId: "p1",
  attempt: 1,
  text: "Do it.",
  author: { id: "usr_1", name: "Ada" },
  attachments: [],
  state,
  error: null,
})

const toolEntry = {
  key: "prt_2",
  kind: "tool",
  name: "bash",
  title: "",
  input: {},
  state: "completed",
  output: "all of it",
  truncated: false,
  bytes: 9,
  startedAt: AT,
  endedAt: AT,
}

const textEntry = (text: string, done: boolean) => ({ key: "prt_1", kind: "text", text, done })

const entries = () => [
  entry(3, 2, textEntry("Hello there.", true)),
  entry(4, 4, toolEntry),
  entry(5, 1, promptEntry("succeeded")),
]

const agentParts: AgentPart[] = [
  { id: "prt_1", type: "text", text: "Hello there.", time: { end: 1 } },
  { id: "prt_2", type: "tool", tool: "bash", state: { status: "completed", output: "all of it" } },
]

/** A viewer that saw the turn from its beginning. */
function seen(name: string): Seen {
  const history = entries().toSorted((a, b) => a.firstSeq - b.firstSeq)
  const before = [
    entry(1, 1, promptEntry("running")),
    entry(2, 2, textEntry("Hello", false)),
    ...history,
  ]
  return {
    name,
    seq: 5,
    screen: history.map(canonical),
    versions: new Map(before.map((each) => [`${each.key}@${each.seq}`, canonical(each)])),
    offences: [],
  }
}

/** A session after one good turn, as two viewers saw it. */
const healthy = (): Recording => ({
  entries: entries(),
  upTo: 5,
  counts: { rows: 3, keys: 3, seqs: 3, firsts: 3 },
  viewers: [seen("Ada"), seen("Grace")],
  prompts: [{ id: "p1", text: "Do it.", state: "succeeded", attempt: 1, executions: 1 }],
  attempts: [{ promptId: "p1", number: 1, state: "succeeded", ended: true }],
  agentParts,
})

test("a session at rest breaks nothing", () => {
  expect(offencesOf(healthy())).toEqual([])
})

/** The recording with the second viewer's view changed. */
function withGrace(change: (grace: Seen) => Partial<Seen>): Recording {
  const recording = healthy()
  const grace = seen("Grace")
  return { ...recording, viewers: [seen("Ada"), { ...grace, ...change(grace) }] }
}

const withPrompt = (change: Partial<Recording["prompts"][number]>): Recording => {
  const recording = healthy()
  return { ...recording, prompts: recording.prompts.map((prompt) => ({ ...prompt, ...change })) }
}

const withAttempt = (change: Partial<Recording["attempts"][number]>): Recording => {
  const recording = healthy()
  return { ...recording, attempts: recording.attempts.map((each) => ({ ...each, ...change })) }
}

/** Everybody holds this instead of the entry with the same key. */
function withEntry(changed: Entry): Recording {
  const recording = healthy()
  const all = recording.entries.map((each) => (each.key === changed.key ? changed : each))
  const screen = all.toSorted((a, b) => a.firstSeq - b.firstSeq).map(canonical)
  const viewers = recording.viewers.map((viewer) => {
    const versions = new Map(viewer.versions)
    versions.set(`${changed.key}@${changed.seq}`, canonical(changed))
    return { ...viewer, screen, versions }
  })
  return { ...recording, entries: all, viewers }
}

const broken: [rule: string, what: string, recording: Recording][] = [
  ["I1", "a viewer lacks an entry", withGrace(({ screen }) => ({ screen: screen.slice(0, -1) }))],
  [
    "I1",
    "a viewer holds an older version",
    withGrace(({ screen, versions }) => ({
      screen: screen.with(1, versions.get("prt_1@2") ?? ""),
    })),
  ],
  [
    "I1",
    "one viewer's order differs",
    withGrace(({ screen }) => ({ screen: screen.toReversed() })),
  ],
  ["I2", "a row is doubled", { ...healthy(), counts: { rows: 4, keys: 3, seqs: 4, firsts: 3 } }],
  [
    "I2",
    "a number is used twice",
    { ...healthy(), counts: { rows: 3, keys: 3, seqs: 2, firsts: 3 } },
  ],
  ["I2", "the pages are out of order", { ...healthy(), entries: entries().toReversed() }],
  ["I4", "a prompt was carried out twice in one attempt", withPrompt({ executions: 2 })],
  ["I4", "a prompt succeeded without being carried out", withPrompt({ executions: 0 })],
  ["I4", "a prompt ended otherwise than it is shown", withPrompt({ state: "failed" })],
  ["I4", "a prompt is still at work", withPrompt({ state: "running" })],
  ["I4", "an attempt is still at work", withAttempt({ state: "running", ended: false })],
  ["I4", "an attempt ended otherwise than it was shown", withAttempt({ state: "interrupted" })],
  ["I4", "an attempt has ended without a time", withAttempt({ ended: false })],
  [
    "I4",
    "a viewer was shown two ends",
    withGrace(({ versions }) => ({
      versions: new Map(versions).set("prompt:p1@2", canonical(promptEntry("interrupted"))),
    })),
  ],
  ["I5", "a viewer is further than the store", withGrace(() => ({ seq: 6 }))],
  [
    "I5",
    "a viewer holds more than the store",
    withGrace(({ screen }) => ({ screen: [...screen, "{}"] })),
  ],
  [
    "I5",
    "a viewer was shown what was never stored",
    withGrace(({ versions }) => ({ versions: new Map(versions).set("prt_3@3", "{}") })),
  ],
  [
    "I5",
    "a viewer was shown another version than the stored one",
    withGrace(({ versions }) => ({ versions: new Map(versions).set("prt_1@3", "{}") })),
  ],
  ["I6", "a text is not the agent's", withEntry(entry(3, 2, textEntry("Hello", true)))],
  [
    "I6",
    "a tool that was done is shown as broken",
    withEntry(entry(4, 4, { ...toolEntry, state: "error" })),
  ],
  ["I6", "the agent's parts changed places", { ...healthy(), agentParts: agentParts.toReversed() }],
  [
    "I6",
    "a part of the agent is missing",
    {
      ...healthy(),
      agentParts: [...agentParts, { id: "prt_3", type: "text", text: "More.", time: { end: 2 } }],
    },
  ],
  ["D10", "a text is still open", withEntry(entry(3, 2, textEntry("Hello there.", false)))],
]

test.for(broken)("[%s] is broken when %s", ([rule, , recording]) => {
  expect(offencesOf(recording).map((offence) => offence.split(" ")[0])).toContain(rule)
})

/** What a viewer that is sent these entries one after the other would hold against the room. */
function offencesOfShowing(...versions: Entry[]): string[] {
  const shown = new Shown()
  let log = emptyLog()
  for (const version of versions) {
    const message = { type: "frame" as const, from: 0, to: version.seq, entries: [version] }
    const next = applyFrame(log, message)
    if (next === "gap") throw new Error("the frame does not fit")
    log = next
    shown.note(message, log)
  }
  return shown.offences.map((offence) => offence.split(" ")[0] ?? "")
}

test("[I5] is broken when a version is shown in two ways", () => {
  const first = entry(2, 2, textEntry("Hello", false))
  expect(offencesOfShowing(first, entry(2, 2, textEntry("Hello!", false)))).toEqual(["I5"])
  expect(offencesOfShowing(first, first)).toEqual([])
})

test("[I6] is broken when a text gets shorter", () => {
  const first = entry(2, 2, textEntry("Hello there. ", false))
  expect(offencesOfShowing(first, entry(3, 2, textEntry("Hello", true)))).toEqual(["I6"])
  expect(offencesOfShowing(first, entry(3, 2, textEntry("Hello there.", true)))).toEqual([])
})
