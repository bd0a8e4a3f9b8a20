import { expect, test } from "vitest"
import { testDatabaseUrl } from "../../server/testing/database.ts"
import { memoryBackend } from "./database/memory-backend.ts"
import { postgresBackend } from "./database/postgres-backend.ts"
import { KNOWN_SQL } from "./database/statements.ts"
import { playHistories, summaryOf, tallyOf } from "./histories.ts"
import { type HistoryReport, playHistory } from "./history.ts"
import { ACCIDENTS } from "./profile.ts"

/**
 * [F15b] The whole product around one session, in one process, on a clock of its own.
 *
 * Real: the room's reducer, the runner with its outbox, journal and prompt loop, the server's verbs, the job handlers,
 * the viewers' log. Simulated (kernel/, parts/, database/): time, chance, the disk, sockets and calls that are lost,
 * repeated, late or out of order, processes that die at any await, the agent, the machines' provider, and PostgreSQL
 * with graphile-worker's jobs, as tables in memory.
 *
 * A seed decides everything: what people do, what goes wrong and when (profile.ts, accidents.ts). A history
 * (history.ts) is a time of trouble, then a healed world that must come to rest, then all that checks/ asks of it:
 * I1–I6 and the rules of dispatch, on the stored log, in the room and on every viewer.
 *
 * SIMULATION_HISTORIES is how many seeds are played, from 1. A history that breaks a promise is told with a command
 * that plays it again, line by line; SIMULATION_SEED does that.
 */
const seed = process.env.SIMULATION_SEED
const count = Number(process.env.SIMULATION_HISTORIES ?? 500)

const TOLD_EVERY = 1_000
/** PostgreSQL takes its time, so histories that are compared on it are short ones. */
const SHORT_EVENTS = 2_000
const COMPARED = 4
/** So many histories come to everything that can happen. */
const MANY = 500
const ENDS = ["succeeded", "failed", "stopped", "interrupted"].map(
  (end) => `an attempt ends ${end}`,
)

const from1 = (to: number) => Array.from({ length: to }, (_, index) => index + 1)

if (seed !== undefined) {
  test(`the history of seed ${seed}`, async () => {
    console.log(await playHistory(Number(seed), memoryBackend(), (line) => console.log(line)))
  })
} else {
  test("a seed gives the same history again, on any thread and whatever was played before it", async () => {
    const { reports } = await playHistories(from1(8))
    const again = await playHistories(from1(8).reverse())
    const bySeed = (list: typeof reports) => list.toSorted((a, b) => a.seed - b.seed)
    expect(bySeed(again.reports)).toEqual(bySeed(reports))
    expect(reports).toContainEqual(await playHistory(7, memoryBackend()))
  })

  test("a history that breaks a promise is told with the command that plays it again, and breaks again", async () => {
    const { jobs, ...rest } = memoryBackend()
    const take = async (nowMs: number) => {
      const job = await jobs.take(nowMs)
      if (job?.name !== "start-sandbox") return job
      await jobs.complete(job.id)
      return null
    }
    const losesJobs = { ...rest, jobs: { ...jobs, take } }
    const complaint = () => playHistory(3, losesJobs).catch((error: unknown) => String(error))
    const told = await complaint()
    expect(told).toContain("[stuck]")
    expect(told).toContain("SIMULATION_SEED=3 npx vitest run --config tests/simulation/")
    expect(await complaint()).toBe(told)
  })

  test("PostgreSQL and the tables in memory give the same histories", async () => {
    const postgres = postgresBackend(await testDatabaseUrl())
    const compared = await shortHistories()
    for (const report of compared) expect(await playHistory(report.seed, postgres)).toEqual(report)
    await postgres.end()
  })

  test(`[I1][I2][I3][I4][I5][I6] ${count} histories break no promise`, async () => {
    const histories = await playHistories(from1(count), ({ reports }) => {
      if (reports.length % TOLD_EVERY === 0) console.log(`${reports.length} histories`)
    })
    console.log(summaryOf(histories))
    for (const { message, lines } of histories.broken)
      console.log(`${lines.join("\n")}\n${message}`)
    expect(histories.broken.map(({ message }) => message)).toEqual([])

    const happened = [...tallyOf(histories.reports).keys()]
    if (count >= MANY) expect(happened).toEqual(expect.arrayContaining([...ACCIDENTS, ...ENDS]))
  }, 3_600_000)
}

/** A few short histories that use every SQL of the verbs between them. */
async function shortHistories(): Promise<HistoryReport[]> {
  const chosen: HistoryReport[] = []
  const used = new Set<string>()
  for (let one = 1; chosen.length < COMPARED || used.size < KNOWN_SQL.length; one++) {
    const backend = memoryBackend()
    const report = await playHistory(one, backend)
    const isNew = [...backend.usedSql].some((mark) => !used.has(mark))
    if (report.events > SHORT_EVENTS || !(isNew || chosen.length < COMPARED)) continue
    chosen.push(report)
    for (const mark of backend.usedSql) used.add(mark)
  }
  return chosen
}
