export type Scheduled = { at: number; order: number; run: (() => void) | null }

/** What will happen, by time; what is due at the same time goes in the order of its scheduling. */
export class EventQueue {
  readonly #heap: Scheduled[] = []
  #order = 0

  add(at: number, run: () => void): Scheduled {
    const event: Scheduled = { at, order: this.#order++, run }
    this.#heap.push(event)
    this.#rise(this.#heap.length - 1)
    return event
  }

  /** Time of the next event that was not cancelled. */
  get nextAt(): number | null {
    this.#dropCancelled()
    return this.#heap[0]?.at ?? null
  }

  take(): Scheduled | null {
    this.#dropCancelled()
    return this.#pop()
  }

  #dropCancelled(): void {
    while (this.#heap[0]?.run === null) this.#pop()
  }

  #pop(): Scheduled | null {
    const [first] = this.#heap
    const last = this.#heap.pop()
    if (!first || !last) return null
    if (this.#heap.length > 0) {
      this.#heap[0] = last
      this.#sink()
    }
    return first
  }

  #rise(index: number): void {
    for (let at = index; at > 0; ) {
      const parent = (at - 1) >> 1
      if (!this.#isBefore(at, parent)) return
      this.#swap(at, parent)
      at = parent
    }
  }

  #sink(): void {
    for (let at = 0; ; ) {
      const left = at * 2 + 1
      const right = left + 1
      let first = at
      if (left < this.#heap.length && this.#isBefore(left, first)) first = left
      if (right < this.#heap.length && this.#isBefore(right, first)) first = right
      if (first === at) return
      this.#swap(at, first)
      at = first
    }
  }

  #isBefore(one: number, other: number): boolean {
    const a = this.#heap[one]
    const b = this.#heap[other]
    if (!a || !b) return false
    return a.at < b.at || (a.at === b.at && a.order < b.order)
  }

  #swap(one: number, other: number): void {
    const a = this.#heap[one]
    const b = this.#heap[other]
    if (!a || !b) return
    this.#heap[one] = b
    this.#heap[other] = a
  }
}
