import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { makeRepository } from "../../dev/demo/repository.ts"
import { freePorts } from "../../dev/stack/free-ports.ts"
import { startStack } from "../../dev/stack/stack.ts"
import { startBareAgent } from "./bare-agent.ts"
import { startOurSession } from "./our-session.ts"
import { script, type Turn } from "./turn.ts"

const WARM_UP_ROUNDS = 3
const ROUND_COUNT = 25
const STREAM_ROUNDS = 5
const TOKENS = 1_000
/** 100 tokens per second, as a quick model streams. */
const TOKEN_EVERY_MS = 10

export type Pairs = { ours: Turn[]; bare: Turn[] }

/** P2 and P5: our whole path and OpenCode alone, turn by turn with the same prompts. */
export async function measureTurns(): Promise<{ first: Pairs; paced: Pairs; unpaced: Pairs }> {
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
        pairs.ours.push(await ours.play(text))
        pairs.bare.push(await bare.play(text))
      }
      return pairs
    }
    try {
      await play(WARM_UP_ROUNDS, script({ say: "hello" }))
      const first = await play(ROUND_COUNT, script({ say: "hello" }))
      const stream = { say: "token ", repeat: TOKENS }
      const unpaced = await play(STREAM_ROUNDS, script(stream))
      const paced = await play(STREAM_ROUNDS, script({ ...stream, everyMs: TOKEN_EVERY_MS }))
      return { first, paced, unpaced }
    } finally {
      await ours.close()
      await bare.close()
    }
  } finally {
    await stack.stop()
    rmSync(home, { recursive: true, force: true })
  }
}
