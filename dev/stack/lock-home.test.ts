import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { afterEach, beforeEach, expect, test } from "vitest"
import { identity } from "../process-identity.ts"
import { holderOf, lockHome } from "./lock-home.ts"

const STARTERS = 8
const TAKE_HOME = fileURLToPath(new URL("./testing/take-home.ts", import.meta.url))
const TAKE_TURNS = fileURLToPath(new URL("./testing/take-turns.ts", import.meta.url))

let dir: string
const children: ChildProcess[] = []

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "agent-ops-lock-"))
})

afterEach(async () => {
  await Promise.all(children.splice(0).map(kill))
  rmSync(dir, { recursive: true, force: true })
})

/** Runs a script and resolves to it and to the first line that it says. */
async function run(
  script: string,
  ...args: string[]
): Promise<{ child: ChildProcess; said: string }> {
  const child = spawn(process.execPath, [script, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
  })
  children.push(child)
  if (!child.stdout) throw new Error("The child has no standard output")
  const [said] = await once(createInterface({ input: child.stdout }), "line")
  return { child, said }
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, "exit")
  child.kill("SIGKILL")
  await ended
}

const all = (count: number, start: () => ReturnType<typeof run>) =>
  Promise.all(Array.from({ length: count }, start))

test("of many starters that meet a dead holder's lock exactly one gets the home", async () => {
  const dead = await run(TAKE_HOME, dir)
  await kill(dead.child)
  const starters = await all(STARTERS, () => run(TAKE_HOME, dir))
  const [winner, ...more] = starters.filter(({ said }) => said === "holds")
  expect(more).toEqual([])
  const pid = winner?.child.pid
  expect(holderOf(dir)).toBe(pid)
  const losers = starters.filter((starter) => starter !== winner).map(({ said }) => said)
  const sentence = `A stack with pid ${pid} already runs in ${dir}. Stop it, or choose another --home (make dev: AGENT_OPS_HOME).`
  expect(new Set(losers)).toEqual(new Set([sentence]))
})

test("an empty or broken lock file is nobody's", async () => {
  for (const text of ["", "nonsense", "999999999 1"]) {
    writeFileSync(join(dir, "stack.lock"), text)
    const release = await lockHome(dir)
    expect(holderOf(dir)).toBe(process.pid)
    release()
    expect(holderOf(dir)).toBe(null)
  }
})

test("a holder whose npm was killed is waited for, one whose npm lives is not", async () => {
  const { child: holder } = await run(TAKE_HOME, dir)
  const { child: npm } = await run(TAKE_HOME, dir)
  const lines = [holder, npm].map(({ pid }) => identity(pid ?? 0)).join("\n")
  writeFileSync(join(dir, "stack.lock"), lines)
  await expect(lockHome(dir)).rejects.toThrow(`A stack with pid ${holder.pid} already runs`)
  await kill(npm)
  const release = lockHome(dir)
  holder.stdin?.end()
  await release
  expect(holderOf(dir)).toBe(process.pid)
})

test("a named lock lets in one at a time, and one that is killed inside lets the next one in", async () => {
  const file = join(dir, "turns")
  const name = `agent-ops-test:${dir}`
  const killed = await run(TAKE_TURNS, name, file, "60000")
  const waiting = all(STARTERS, () => run(TAKE_TURNS, name, file, "20"))
  await kill(killed.child)
  await waiting
  await Promise.all(
    children.map((child) => child.exitCode ?? child.signalCode ?? once(child, "exit")),
  )
  const turns = readFileSync(file, "utf8").trim().split("\n")
  expect(turns.shift()).toBe(`in ${killed.child.pid}`)
  expect(turns).toHaveLength(2 * STARTERS)
  for (let turn = 0; turn < turns.length; turn += 2) {
    expect(turns[turn + 1]).toBe(turns[turn]?.replace("in", "out"))
  }
})
