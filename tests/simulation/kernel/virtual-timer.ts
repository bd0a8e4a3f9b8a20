import type { Scheduled } from "./event-queue.ts"
import { currentProcess, type SimulatedProcess } from "./simulated-process.ts"

const LONGEST_MS = 2 ** 31 - 1

/** What `setTimeout` and `setInterval` give to code of a simulated process. */
export class VirtualTimer {
  #event: Scheduled | null = null

  static start(code: () => void, ms: number, repeats: boolean): VirtualTimer {
    const process = currentProcess()
    if (!process) throw new Error("no simulated process runs")
    const timer = new VirtualTimer()
    timer.#schedule(process, code, Math.min(LONGEST_MS, Math.max(1, ms)), repeats)
    return timer
  }

  #schedule(process: SimulatedProcess, code: () => void, ms: number, repeats: boolean): void {
    this.#event = process.after(ms, () => {
      if (repeats) this.#schedule(process, code, ms, true)
      code()
    })
  }

  cancel(): void {
    if (this.#event) this.#event.run = null
    this.#event = null
  }

  ref = () => this
  unref = () => this
  hasRef = () => false
}
