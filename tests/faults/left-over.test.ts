import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { afterAll, afterEach, expect, test } from "vitest"
import { freePorts } from "../../dev/stack/free-ports.ts"
import { signal } from "../../dev/stack/leftovers.ts"
import { FaultSession } from "./fault-session.ts"
import { FaultStack, HOME_PREFIX, type Part } from "./fault-stack.ts"
import { assertInvariants } from "./invariants.ts"
import { killAtOnce, processesOf } from "./processes.ts"
import { streaming } from "./script.ts"
import { until } from "./until.ts"

const ROOT = fileURLToPath(new URL("../..", import.meta.url))
const READY_WITHIN_MS = 240_000
const AGAIN_WITHIN_MS = 90_000
const PARTS: Part[] = ["web", "rooms", "jobs", "model", "postgres"]

const pidsOf = (home: string) => processesOf(home).map(({ pid }) => pid)

let home = ""

afterEach(async () => {
  if (!home) return
  await killAtOnce(() => pidsOf(home))
  rmSync(home, { recursive: true, force: true })
  home = ""
})

/** How a person starts everything, and what is printed when it is ready. */
const commands = [
  {
    name: "npm run stack",
    words: (port: number) => `npm run --silent stack -- --home ${home} --port ${port}`,
    ready: /^\{"url"/,
  },
  // What is to be installed was installed before the tests.
  { name: "make dev", words: () => "make --silent -o install dev", ready: /^Agent Ops runs at/ },
]
type Command = (typeof commands)[number]

/** Resolves when it is ready. */
async function start({ name, words, ready }: Command): Promise<ChildProcess> {
  const port = await freePorts(4)
  const [program = "", ...args] = words(port).split(" ")
  const child = spawn(program, args, {
    cwd: ROOT,
    env: { ...process.env, AGENT_OPS_HOME: home, PORT: `${port}` },
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  })
  if (!child.stdout) throw new Error(`${program} has no standard output`)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  createInterface({ input: child.stdout }).on("line", (line) => ready.test(line) && resolve())
  child.once("exit", (code) => reject(new Error(`${name} ended with ${code} before it was ready`)))
  const late = setTimeout(() => reject(new Error(`${name} was not ready`)), READY_WITHIN_MS)
  await promise.finally(() => clearTimeout(late))
  return child
}

test.for(commands)(
  "$name killed leaves nothing that the next one does not end or use; told to end, it leaves no process",
  async (command) => {
    home = mkdtempSync(join(tmpdir(), `${HOME_PREFIX}${process.pid}-`))
    const killed = await start(command)
    const before = pidsOf(home)
    signal(-(killed.pid ?? 0), "SIGKILL")
    const next = await start(command)
    const postgres = processesOf(home).filter(({ command }) => command.includes("postgres"))
    const adopted = new Set(postgres.map(({ pid }) => pid))
    const left = before.filter((pid) => pidsOf(home).includes(pid) && !adopted.has(pid))
    expect(left).toEqual([])

    const ended = once(next, "exit")
    signal(next.pid ?? 0, "SIGTERM")
    await ended
    await until("every process to end", AGAIN_WITHIN_MS, () => pidsOf(home).length === 0)
  },
)

let stack: FaultStack | undefined

afterAll(() => stack?.stop())

test("every part that is killed comes back by itself, and the session goes on", async () => {
  stack = await FaultStack.start()
  const session = await FaultSession.ready(stack, 1)
  for (const part of PARTS) {
    await stack.isBack(part, stack.kill(part))
    const promptId = await until(`a prompt to be taken after ${part}`, AGAIN_WITHIN_MS, () =>
      session.send([streaming(100)]),
    )
    expect(await session.hasEnded(promptId, AGAIN_WITHIN_MS), part).toBe("succeeded")
  }
  await assertInvariants(session)
  session.close()
})

test("a stack that was killed adopts the sandboxes that it still knows and ends the others", async () => {
  stack ??= await FaultStack.start()
  const kept = await FaultSession.ready(stack, 1)
  const forgotten = await FaultSession.ready(stack, 1)
  forgotten.close()
  const runner = kept.runner()
  await stack.write(
    `UPDATE "Sandbox" SET state = 'stopped', "stoppedAt" = now() WHERE "sessionId" = $1`,
    [forgotten.id],
  )
  await stack.killEverything({ sparesSandboxes: true })
  expect(kept.runner()).toBe(runner)
  await stack.restart()
  await until("the forgotten sandbox to end", AGAIN_WITHIN_MS, () => {
    return forgotten.processes().length === 0
  })
  const promptId = await kept.send([streaming(100)])
  expect(await kept.hasEnded(promptId, AGAIN_WITHIN_MS)).toBe("succeeded")
  expect(kept.runner()).toBe(runner)
  await assertInvariants(kept)
  kept.close()
})
