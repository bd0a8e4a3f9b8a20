import { appendFileSync, mkdirSync, renameSync, statSync } from "node:fs"
import { dirname } from "node:path"

const maxFileBytes = 1024 * 1024
const maxTailChars = 4_000

/** A log of one file and its predecessor, 1 MB each, and the newest lines at hand for error messages. */
export class BoundedLog {
  readonly #path: string
  #bytes: number
  #tail = ""

  constructor(path: string) {
    mkdirSync(dirname(path), { recursive: true })
    this.#path = path
    this.#bytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  }

  /** The newest output, at most 4,000 characters. */
  get tail(): string {
    return this.#tail.trim()
  }

  append(chunk: string): void {
    this.#tail = (this.#tail + chunk).slice(-maxTailChars)
    try {
      this.#store(chunk.slice(-maxFileBytes))
    } catch (error) {
      // A full disk must not end a turn for the sake of its log; the tail says what happened.
      this.#tail = `${this.#tail}\n(not stored: ${String(error)})\n`.slice(-maxTailChars)
    }
  }

  #store(text: string): void {
    if (this.#bytes > maxFileBytes) {
      renameSync(this.#path, `${this.#path}.old`)
      this.#bytes = 0
    }
    appendFileSync(this.#path, text)
    this.#bytes += Buffer.byteLength(text)
  }
}
