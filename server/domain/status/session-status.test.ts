import { expect, test } from "vitest"
import { PLATFORM_STOPPED, type StatusFacts, sessionStatus } from "./session-status.ts"

const failure = { reason: "clone-failed", message: "The repository could not be cloned." }

const stopped = { reason: PLATFORM_STOPPED, message: "The platform was stopped." }

const sandbox = (fields: Partial<NonNullable<StatusFacts["sandbox"]>>) => ({
  state: "ready" as const,
  link: "connected" as const,
  phase: null,
  detail: "",
  error: null,
  ...fields,
})

const facts = (fields: Partial<StatusFacts>): StatusFacts => ({
  ended: false,
  sandbox: sandbox({}),
  wakes: false,
  attempt: null,
  queued: 0,
  steerQueued: false,
  steerJoins: false,
  ...fields,
})

const running = { state: "running", stopRequested: false } as const

test.each<[string, Partial<StatusFacts>]>([
  ["ended", { ended: true, attempt: running }],
  ["queued", { sandbox: null, queued: 1 }],
  ["queued", { sandbox: sandbox({ state: "requested" }), queued: 1 }],
  ["waking", { sandbox: sandbox({ state: "requested" }), wakes: true }],
  ["booting", { sandbox: sandbox({ state: "starting", phase: "clone" }), queued: 1 }],
  ["waking", { sandbox: sandbox({ state: "starting", phase: "agent" }), wakes: true }],
  ["idle", {}],
  ["working", { attempt: running }],
  ["working", { queued: 2 }],
  ["working", { steerJoins: true }],
  ["working", { attempt: running, sandbox: sandbox({ link: "lost" }) }],
  ["idle", { sandbox: sandbox({ link: "lost" }) }],
  ["sleeping", { sandbox: sandbox({ state: "stopped" }) }],
  ["sleeping", { sandbox: sandbox({ state: "stopped", error: stopped }) }],
  ["failed", { sandbox: sandbox({ state: "stopping", error: failure }), queued: 1 }],
  ["failed", { sandbox: sandbox({ state: "stopped", error: failure }), attempt: running }],
])("a session is %s when %o", (status, fields) => {
  expect(sessionStatus(facts(fields)).status).toBe(status)
})

test("every status comes with a sentence about what it waits for", () => {
  const phases = (["machine", "clone", "agent", "warm-up"] as const).map((phase) =>
    facts({ sandbox: sandbox({ state: "starting", phase }) }),
  )
  const reasons = [...phases, facts({}), facts({ attempt: running }), facts({ queued: 1 })].map(
    (each) => sessionStatus(each).reason,
  )
  expect(new Set(reasons).size).toBe(reasons.length)
  for (const reason of reasons) expect(reason).toMatch(/^[A-Z].*\.$/)
})

test("a failed boot says why and how to go on", () => {
  const { reason } = sessionStatus(
    facts({ sandbox: sandbox({ state: "stopped", error: failure }) }),
  )
  expect(reason).toContain(failure.message)
  expect(reason).toContain("Wake the session")
})

test("a stop that was asked for, and a steer that waits, are said", () => {
  const stopping = facts({ attempt: { state: "running", stopRequested: true } })
  expect(sessionStatus(stopping).reason).toContain("Stops")
  expect(sessionStatus(facts({ attempt: running, steerQueued: true })).reason).toContain("steer")
  const joining = facts({ attempt: running, steerJoins: true, steerQueued: true })
  expect(sessionStatus(joining).reason).toContain("joins")
})
