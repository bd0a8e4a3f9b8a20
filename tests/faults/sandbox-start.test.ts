import { execFileSync } from "node:child_process"
import { closeSync, constants, openSync, renameSync, rmSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import * as z from "zod"
import { makeRepository } from "../../dev/demo/repository.ts"
import { BOOT_WITHIN_MS, FaultSession } from "./fault-session.ts"
import { FaultStack } from "./fault-stack.ts"
import { assertInvariants } from "./invariants.ts"
import { freezeAtOnce, killAtOnce } from "./processes.ts"
import { instant, seeds } from "./seeds.ts"
import { Turnstile } from "./turnstile.ts"
import { until } from "./until.ts"

const DEADLINE_SECONDS = { create: 10, clone: 10, ready: 60 }
/** Frozen sandboxes hold their places until their deadline; so many more may start beside them. */
const PLACES = seeds.length + 3
/** So many boot at once that none misses the deadline only because the others do. */
const boots = new Turnstile(2)
/** No sandbox is ready this soon. */
const BOOT_MS = 3_000
const MARGIN_MS = 30_000
/** The last of all seeds has waited for the boots of the others. */
const TEST_MS = 300_000 + seeds.length * 60_000

let stack: FaultStack

beforeAll(async () => {
  stack = await FaultStack.start({
    env: {
      SANDBOX_CREATE_DEADLINE_SECONDS: String(DEADLINE_SECONDS.create),
      SANDBOX_CLONE_DEADLINE_SECONDS: String(DEADLINE_SECONDS.clone),
      SANDBOX_READY_DEADLINE_SECONDS: String(DEADLINE_SECONDS.ready),
      MAX_STARTING_SANDBOXES: String(PLACES),
    },
  })
})

afterAll(() => stack?.stop())

/** Waits until the session has failed with its sandbox gone, its prompt kept. Returns the reason. */
async function failed(session: FaultSession, withinMs: number, times = 1) {
  const query = { sessionId: session.id }
  await until("the session to fail", withinMs, async () => {
    return (await stack.api.session.get.query(query)).status === "failed"
  })
  await until("the machine to be gone", MARGIN_MS, async () => {
    const sandbox = await stack.api.sandbox.get.query(query)
    return sandbox?.state === "stopped" && session.processes().length === 0
  })
  expect(await session.prompts()).toMatchObject([{ state: "queued", attempt: 0 }])
  const failures = await stack.rows(
    z.object({ version: z.int() }),
    `SELECT version FROM "StatusChange" WHERE "sessionId" = $1 AND status = 'failed'`,
    [session.id],
  )
  expect(failures).toHaveLength(times)
  return (await stack.api.sandbox.get.query(query))?.error?.reason
}

function worksAfterWake(session: FaultSession, generation = 2): Promise<void> {
  return boots.pass(async () => {
    await stack.api.session.wake.mutate({ sessionId: session.id })
    await worksAsGeneration(session, generation)
  })
}

async function worksAsGeneration(session: FaultSession, generation: number): Promise<void> {
  await session.watch(1)
  expect(await session.hasEnded(await session.firstPrompt(), BOOT_WITHIN_MS)).toBe("succeeded")
  const sandbox = await stack.api.sandbox.get.query({ sessionId: session.id })
  expect(sandbox).toMatchObject({ generation, state: "ready" })
  await assertInvariants(session)
  await session.terminate(MARGIN_MS)
}

/** A session whose sandbox is met in its boot, at the instant that the seed decides. */
async function booting(seed: number): Promise<FaultSession> {
  const session = await FaultSession.create(stack)
  await until("the machine", BOOT_WITHIN_MS, () => session.processes().length > 0)
  await instant(seed, BOOT_MS)
  return session
}

const pidsOf = (session: FaultSession) => session.processes().map(({ pid }) => pid)

describe("[F10] a sandbox that does not come up", { concurrent: true, timeout: TEST_MS }, () => {
  test.for(seeds)(
    "that freezes is given up at the deadline with a reason, its prompt kept; waking the session works (seed %i)",
    async (seed) => {
      const session = await boots.pass(async () => {
        const session = await booting(seed)
        await freezeAtOnce(() => pidsOf(session))
        return session
      })
      const reason = await failed(session, DEADLINE_SECONDS.ready * 1_000 + MARGIN_MS)
      expect(reason).toBe("sandbox-not-ready")
      await worksAfterWake(session)
    },
  )

  test("whose repository never answers is given up with the phase's reason; waking the session works", async () => {
    const { repoUrl, answer } = await silentRepository("silent")
    const session = await FaultSession.create(stack, [], repoUrl)
    expect(await failed(session, BOOT_WITHIN_MS)).toMatch(/clone/)
    answer()
    await worksAfterWake(session)
  })

  test("whose machine is never made is given up with that reason; waking the session works", async () => {
    const { repoUrl, answer } = await silentRepository("unmade")
    const session = await FaultSession.create(stack, [], repoUrl)
    await failed(session, BOOT_WITHIN_MS)
    answer()
    const release = hang(join(session.directory, "spec.json.draft"))
    await stack.api.session.wake.mutate({ sessionId: session.id })
    expect(await failed(session, BOOT_WITHIN_MS, 2)).toBe("sandbox-create-timeout")
    release()
    await worksAfterWake(session, 3)
  })

  test.for(seeds)("that dies is replaced by itself, once (seed %i)", (seed) =>
    boots.pass(async () => {
      const session = await booting(seed)
      await killAtOnce(() => pidsOf(session))
      await worksAsGeneration(session, 2)
    }),
  )
})

test("[F10] after the next sweep nothing is left of what was given up", async () => {
  await stack.write(
    "SELECT graphile_worker.add_job('sweep-sandboxes', '{}'::json, job_key := 'sweep-sandboxes')",
  )
  const waiting = "SELECT id::text FROM graphile_worker.jobs WHERE task_identifier = $1"
  await until("the sweep", MARGIN_MS, async () => {
    const jobs = await stack.rows(z.object({ id: z.string() }), waiting, ["sweep-sandboxes"])
    return jobs.length === 0
  })
  expect(stack.logged("jobs", "sandbox.orphan.found")).toEqual([])
  const inSandboxes = ({ environment }: { environment: string[] }) =>
    environment.some((entry) => entry.startsWith("AGENT_OPS_SANDBOX="))
  expect(stack.processes().filter(inSandboxes)).toEqual([])
})

/** A repository that hangs whoever reads it, until it answers. */
async function silentRepository(name: string): Promise<{ repoUrl: string; answer: () => void }> {
  const directory = join(stack.home, name)
  const repoUrl = await makeRepository(directory)
  const head = join(directory, ".git/HEAD")
  renameSync(head, `${head}.kept`)
  const release = hang(head)
  const answer = () => {
    release()
    renameSync(`${head}.kept`, head)
  }
  return { repoUrl, answer }
}

/** Makes whoever reads or writes this file wait, until it is released. */
function hang(file: string): () => void {
  execFileSync("mkfifo", [file])
  return () => {
    // Whoever waits to write finds a reader, who is gone at once, and may then move the file.
    closeSync(openSync(file, constants.O_RDONLY | constants.O_NONBLOCK))
    rmSync(file, { force: true })
  }
}
