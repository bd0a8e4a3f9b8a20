import { setTimeout as sleep } from "node:timers/promises"
import { Reserve } from "./reserve.ts"

const RETRY_MS = 1_000

/**
 * Notices a full disk, gives the kept reserve back so that writing goes on, and says when there is room again. A write
 * that finds no room even then waits for it.
 */
export class DiskSpace {
  readonly #reserve: Reserve
  readonly #onFull: (full: boolean) => void
  #full = false
  #closed = false
  #retry: NodeJS.Timeout | null = null

  constructor(directory: string, onFull: (full: boolean) => void) {
    this.#reserve = new Reserve(directory)
    this.#onFull = onFull
  }

  get full(): boolean {
    return this.#full
  }

  async reserve(): Promise<void> {
    try {
      await this.#reserve.keep()
      this.#changeTo(false)
    } catch (error) {
      if (!isDiskFull(error)) throw error
      this.#changeTo(true)
    }
  }

  /** Repeats `operation` until the disk takes it. Rejects with any other error, and with the disk's once closed. */
  async write(operation: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await operation()
      } catch (error) {
        if (!isDiskFull(error) || this.#closed) throw error
      }
      const wasFull = this.#full
      await this.#reserve.release()
      this.#changeTo(true)
      if (wasFull) await sleep(RETRY_MS)
    }
  }

  close(): void {
    this.#closed = true
    if (this.#retry) clearTimeout(this.#retry)
  }

  #changeTo(full: boolean): void {
    const changed = full !== this.#full
    this.#full = full
    if (changed) this.#onFull(full)
    if (!full || this.#retry || this.#closed) return
    this.#retry = setTimeout(() => {
      this.#retry = null
      // A broken disk shows itself at the next write; here it only means that there is no room yet.
      this.reserve().catch(() => this.#changeTo(true))
    }, RETRY_MS)
    this.#retry.unref()
  }
}

function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error) || !("code" in error)) return false
  return error.code === "ENOSPC" || error.code === "EDQUOT"
}
