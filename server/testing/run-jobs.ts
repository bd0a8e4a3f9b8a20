import { generateKeyPairSync } from "node:crypto"
import type { Database } from "../db.ts"
import type { Settings } from "../domain/context.ts"
import type { JobContext, SandboxPolicy } from "../jobs/context.ts"
import { type JobName, type JobPayload, jobPayloads } from "../jobs/queue.ts"
import { runJob } from "../jobs/tasks.ts"
import { roomsClient } from "../rooms/client.ts"
import { type InMemoryProvider, inMemoryProvider } from "../sandbox/in-memory.ts"
import { type TestClock, testSystem } from "./context.ts"
import { type RoomServer, startRoomServer } from "./room-server.ts"

export type TestJobs = {
  ctx: JobContext & { provider: InMemoryProvider; clock: TestClock; logged: string[] }
  rooms: RoomServer
  run<Name extends JobName>(name: Name, payload: JobPayload<Name>): Promise<void>
  /** Takes a session's waiting jobs of a name off the queue and runs them, whether or not their time has come. */
  runWaiting(name: JobName, sessionId: string): Promise<number>
}

/** Jobs with in-memory machines and a real HTTP server for their rooms. Close `rooms` at the end. */
export async function testJobs(
  db: Database,
  over: { settings?: Partial<Settings>; sandboxes?: Partial<SandboxPolicy> } = {},
): Promise<TestJobs> {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519")
  const rooms = await startRoomServer(publicKey)
  const system = testSystem(db, over.settings)
  const ctx = {
    ...system,
    rooms: roomsClient({ url: rooms.url, key: privateKey, now: () => new Date() }),
    provider: inMemoryProvider(() => system.now().getTime()),
    signingKey: privateKey,
    sandboxes: {
      maxStarting: 1_000,
      createMs: 200,
      runnerGraceMs: 180_000,
      roomsUrl: rooms.url,
      phases: { cloneMs: 1_000, agentMs: 1_000, warmUpMs: 1_000 },
      ...over.sandboxes,
    },
  }
  const run = <Name extends JobName>(name: Name, payload: JobPayload<Name>) =>
    runJob(ctx, name, payload)
  return {
    ctx,
    rooms,
    run,
    async runWaiting(name, sessionId) {
      const payloads = await db.$queryRaw<{ payload: unknown }[]>`
        delete from graphile_worker._private_jobs job using graphile_worker._private_tasks task
         where task.id = job.task_id and task.identifier = ${name}
           and job.payload->>'sessionId' = ${sessionId}
        returning job.payload`
      for (const { payload } of payloads) await run(name, jobPayloads[name].parse(payload))
      return payloads.length
    },
  }
}
