import "./virtual-node-setup.ts"
import { parentPort } from "node:worker_threads"
import { memoryBackend } from "./database/memory-backend.ts"
import { BrokenHistory, type HistoryReport, playHistory } from "./history.ts"

/** What came of one seed. */
export type Outcome =
  | { report: HistoryReport }
  | { broken: { seed: number; message: string; lines: readonly string[] } }

const LINES_TOLD = 40

/** One thread of histories.ts: plays each seed that it is sent, and answers its {@link Outcome}. */
const backend = memoryBackend()
parentPort?.on("message", (seed: number) => {
  void outcomeOf(seed).then((outcome) => parentPort?.postMessage(outcome))
})

async function outcomeOf(seed: number): Promise<Outcome> {
  try {
    return { report: await playHistory(seed, backend) }
  } catch (error) {
    const lines = error instanceof BrokenHistory ? error.lines.slice(-LINES_TOLD) : []
    return { broken: { seed, message: String(error), lines } }
  }
}
