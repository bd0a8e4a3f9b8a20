import type { Delta } from "#protocol/runner"

const intervalMs = 16

/** Gathers streamed pieces: the first goes out at once, what follows within 16 ms goes out together. */
export class DeltaBatch {
  readonly #emit: (deltas: Delta[]) => void
  #waiting = new Map<string, Delta>()
  #timer: ReturnType<typeof setTimeout> | null = null

  constructor(emit: (deltas: Delta[]) => void) {
    this.#emit = emit
  }

  add(deltas: Delta[]): void {
    for (const [key, offset, piece] of deltas) {
      const before = this.#waiting.get(key)
      // Pieces of one text follow each other without a gap.
      if (before) before[2] += piece
      else this.#waiting.set(key, [key, offset, piece])
    }
    if (this.#timer === null) this.#sendAndWait()
  }

  /** Sends what waits: before a checkpoint, so that it finds its text complete. */
  flush(): void {
    if (this.#waiting.size === 0) return
    const deltas = [...this.#waiting.values()]
    this.#waiting = new Map()
    this.#emit(deltas)
  }

  close(): void {
    this.flush()
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  #sendAndWait(): void {
    this.#timer = null
    if (this.#waiting.size === 0) return
    this.flush()
    this.#timer = setTimeout(() => this.#sendAndWait(), intervalMs)
  }
}
