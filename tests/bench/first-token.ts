import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { makeRepository } from "../../dev/demo/repository.ts"
import { freePorts } from "../../dev/stack/free-ports.ts"
import { startStack } from "../../dev/stack/stack.ts"
import { startBareAgent } from "./bare-agent.ts"
import { startOurSession } from "./our-session.ts"
import { script, type Turn } from "./turn.ts"

/** Enough for the compilers of all processes to have done the most of their work. */
const WARM_UP_ROUNDS = 10
/** One turn of OpenCode takes a third longer than the next: fewer pairs and the medians wander by 10 ms. */
const ROUND_COUNT = 40
const STREAM_ROUNDS = 5
/** How long a quick hosted model takes to its first token. */
export const HOSTED_MODEL_MS = 400
/** What a turn leaves to be done, such as its way into PostgreSQL, must not fall on the next one's time. */
const SETTLE_MS = 700
const TOKENS = 1_000
/** 100 tokens per second, as a quick model streams. */
const TOKEN_EVERY_MS = 10

export type Pairs = { ours: Turn[]; bare: Turn[] }

export type Turns = { instant: Pairs; hosted: Pairs; paced: Pairs; unpaced: Pairs }

/** P2 and P5: our whole path and OpenCode alone, turn by turn with the same prompts. */
export async function measureTurns(): Promise<Turns> {
  const home = mkdtempSync(join(tmpdir(), "agent-ops-bench-"))
  const repository = join(home, "repository")
  const bareHome = join(home, "bare")
  mkdirSync(repository)
  mkdirSync(bareHome)
  const repoUrl = await makeRepository(repository)
  const stack = await startStack({ home: join(home, "stack"), port: await freePorts(5) })
  try {
    const modelUrl = stack.line.url.replace(/\d+$/, (port) => String(Number(port) + 3))
    const ours = await startOurSession(stack.line, repoUrl)
    const bare = await startBareAgent(bareHome, repository, modelUrl)
    const play = async (rounds: number, text: string): Promise<Pairs> => {
      const pairs: Pairs = { ours: [], bare: [] }
      for (let round = 0; round < rounds; round++) {
        for (const [side, driver] of [["ours", ours] as const, ["bare", bare] as const]) {
          pairs[side].push(await driver.play(text))
          await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
        }
      }
      return pairs
    }
    try {
      await play(WARM_UP_ROUNDS, script({ say: "hello" }))
      const instant = await play(ROUND_COUNT, script({ say: "hello" }))
      const thinks = { sleepMs: HOSTED_MODEL_MS }
      const hosted = await play(ROUND_COUNT, script(thinks, { say: "hello" }))
      const stream = { say: "token ", repeat: TOKENS }
      const unpaced = await play(STREAM_ROUNDS, script(stream))
      const paced = await play(STREAM_ROUNDS, script({ ...stream, everyMs: TOKEN_EVERY_MS }))
      return { instant, hosted, paced, unpaced }
    } finally {
      await ours.close()
      await bare.close()
    }
  } finally {
    await stack.stop()
    rmSync(home, { recursive: true, force: true })
  }
}
