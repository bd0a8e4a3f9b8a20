import { expect, test } from "vitest"
import { findMembers, type Membership } from "./members.ts"
import type { Process } from "./process-table.ts"

const TAG = 2 ** 47

const sandbox: Membership = {
  marker: "AGENT_OPS_SANDBOX=ses_a-g1",
  realtimeTag: TAG,
  leader: { pid: 100, startedAt: "boot:1" },
  directory: "/home/sandboxes/ses_a",
}

const candidate = (pid: number, over: Partial<Process> = {}): Process => ({
  pid,
  parent: 1,
  session: pid,
  startedAt: `boot:${pid}`,
  hasTerminal: false,
  environment: [],
  realtimeLimit: null,
  cwd: "/",
  ...over,
})

const found = (processes: Process[], over: Partial<Membership> = {}) =>
  findMembers(processes, { ...sandbox, ...over }).map(({ pid }) => pid)

test("a process belongs by marker, by tag, by descent or by the living leader's session", () => {
  const processes = [
    candidate(1),
    candidate(100, { startedAt: "boot:1" }),
    candidate(101, { environment: ["A=b", sandbox.marker] }),
    candidate(102, { realtimeLimit: TAG }),
    candidate(103, { parent: 102 }),
    candidate(104, { parent: 103 }),
    candidate(105, { session: 100 }),
    candidate(106, { environment: [`${sandbox.marker}0`] }),
    candidate(107, { realtimeLimit: TAG - 1 }),
  ]
  expect(found(processes)).toEqual([100, 101, 102, 103, 104, 105])
})

test("a pid that was recycled is no leader and its session is nobody's", () => {
  const processes = [candidate(100, { startedAt: "boot:2" }), candidate(105, { session: 100 })]
  expect(found(processes)).toEqual([])
})

test("a lost tag is learned from a marked process, unless it is a limit that others may share", () => {
  const marked = (limit: number) => [
    candidate(101, { environment: [sandbox.marker], realtimeLimit: limit }),
    candidate(102, { realtimeLimit: limit }),
  ]
  expect(found(marked(TAG), { realtimeTag: null })).toEqual([101, 102])
  expect(found(marked(200_000), { realtimeTag: null })).toEqual([101])
})

test("without any tag the directory tells, but never of a person's own shell", () => {
  const inside = { cwd: "/home/sandboxes/ses_a/workspace" }
  const processes = [
    candidate(101, inside),
    candidate(102, { ...inside, hasTerminal: true }),
    candidate(103, { cwd: "/home/sandboxes/ses_ab" }),
  ]
  expect(found(processes, { realtimeTag: null })).toEqual([101])
  expect(found(processes)).toEqual([])
  expect(found(processes, { realtimeTag: null, directory: null })).toEqual([])
})

test("this process is never among them", () => {
  expect(found([candidate(process.pid, { environment: [sandbox.marker] })])).toEqual([])
})
