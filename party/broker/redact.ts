import { joinBytes } from "../adapter/bytes.ts"

const REPLACEMENT = "[redacted]"

/** `text` without any occurrence of the key. */
export function redactText(text: string, key: string | null): string {
  return key ? text.replaceAll(key, REPLACEMENT) : text
}

/**
 * Takes a key out of a stream of bytes, also where it is cut by chunks. Bytes are held back only while they may be the
 * beginning of the key, so a stream without it passes unchanged and undelayed.
 */
export class KeyFilter {
  readonly #key: Uint8Array
  #held = new Uint8Array()

  constructor(key: string) {
    this.#key = new TextEncoder().encode(key)
  }

  /** What may go on now; possibly nothing. */
  read(chunk: Uint8Array): Uint8Array {
    const bytes = this.#held.length > 0 ? joinBytes([this.#held, chunk]) : chunk
    const pieces: Uint8Array[] = []
    let start = 0
    let at = bytes.indexOf(this.#first)
    while (at >= 0) {
      const matched = this.#matchAt(bytes, at)
      if (matched === this.#key.length) {
        pieces.push(bytes.subarray(start, at), new TextEncoder().encode(REPLACEMENT))
        start = at + matched
        at = bytes.indexOf(this.#first, start)
      } else if (at + matched === bytes.length) {
        break
      } else {
        at = bytes.indexOf(this.#first, at + 1)
      }
    }
    const end = at < 0 ? bytes.length : at
    this.#held = bytes.slice(end)
    if (pieces.length === 0) return bytes.subarray(start, end)
    pieces.push(bytes.subarray(start, end))
    return joinBytes(pieces)
  }

  /** What was held back when the stream ended. */
  end(): Uint8Array {
    const held = this.#held
    this.#held = new Uint8Array()
    return held
  }

  get #first(): number {
    return this.#key[0] ?? 0
  }

  /** How many bytes from `at` on are those of the key. */
  #matchAt(bytes: Uint8Array, at: number): number {
    let length = 0
    while (length < this.#key.length && at + length < bytes.length) {
      if (bytes[at + length] !== this.#key[length]) break
      length++
    }
    return length
  }
}
