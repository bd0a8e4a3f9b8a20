import { rm, writeFile } from "node:fs/promises"
import { join } from "node:path"

/** Left in the state directory by a runner that ended idle and with nothing owed to the room. */
export class DeliveredMark {
  readonly #path: string

  constructor(stateDirectory: string) {
    this.#path = join(stateDirectory, "delivered")
  }

  async set(): Promise<void> {
    await writeFile(this.#path, "")
  }

  /** Whether it was there. It counts once: what comes now has yet to be delivered. */
  async take(): Promise<boolean> {
    return rm(this.#path).then(
      () => true,
      () => false,
    )
  }
}
