import { expect, test } from "vitest"
import { testDatabaseUrl } from "../../server/testing/database.ts"
import { memoryBackend } from "./database/memory-backend.ts"
import { postgresBackend } from "./database/postgres-backend.ts"
import { BrokenHistory, playHistory } from "./history.ts"

const seed = process.env.SIMULATION_SEED
const histories = Number(process.env.SIMULATION_HISTORIES ?? 500)

async function play(one: number) {
  try {
    return await playHistory(one, memoryBackend(), seed ? (line) => console.log(line) : undefined)
  } catch (error) {
    if (!seed && error instanceof BrokenHistory) console.log(error.lines.slice(-40).join("\n"))
    throw error
  }
}

test.runIf(seed)("the history of SIMULATION_SEED", async () => {
  console.log(await play(Number(seed)))
})

test.skipIf(seed)("a seed gives the same history again", async () => {
  for (const one of [1, 2, 3]) {
    const first = await play(one)
    expect(await play(one)).toEqual(first)
  }
})

test.skipIf(seed)("PostgreSQL and the tables in memory give the same histories", async () => {
  const backend = postgresBackend(await testDatabaseUrl())
  for (const one of [1, 2, 3]) {
    expect(await playHistory(one, backend)).toEqual(await play(one))
  }
  await backend.end()
})

test.skipIf(seed)(
  `[I1][I2][I3][I4][I5][I6] ${histories} histories break no promise`,
  async () => {
    for (let one = 1; one <= histories; one++) await play(one)
  },
  3_600_000,
)
