import { rm, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"

const RESERVE_BYTES = 4 * 1024 * 1024

/** Disk space kept back, so that a full disk can still store how the attempt ended. */
export class Reserve {
  readonly #path: string

  constructor(directory: string) {
    this.#path = join(directory, "reserve")
  }

  /** Rejects with the disk's own error when there is no room; then nothing is kept. */
  async keep(): Promise<void> {
    if ((await this.#bytes()) === RESERVE_BYTES) return
    try {
      await writeFile(this.#path, new Uint8Array(RESERVE_BYTES), { flush: true })
    } catch (error) {
      await this.release()
      throw error
    }
  }

  async release(): Promise<void> {
    await rm(this.#path, { force: true })
  }

  async #bytes(): Promise<number> {
    return stat(this.#path).then(
      ({ size }) => size,
      () => 0,
    )
  }
}
