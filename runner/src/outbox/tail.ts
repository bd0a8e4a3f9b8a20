/** Characters of stored items that are also kept in memory, so that sending live reads no file. */
const TAIL_CHARS = 2 * 1024 * 1024

/** The newest stored items. */
export class Tail {
  #first: number
  #items: string[] = []
  #chars = 0

  /** `first` is the number of the next item stored. */
  constructor(first: number) {
    this.#first = first
  }

  add(items: string[]): void {
    for (const item of items) {
      this.#items.push(item)
      this.#chars += item.length
    }
    let surplus = 0
    while (this.#chars > TAIL_CHARS && surplus < this.#items.length) {
      this.#chars -= this.#items[surplus]?.length ?? 0
      surplus += 1
    }
    this.#drop(surplus)
  }

  /** The items from number `from` on, or null when they are not all here. */
  from(from: number): string[] | null {
    return from < this.#first ? null : this.#items.slice(from - this.#first)
  }

  /** Lets go of everything up to number `upTo`. */
  forget(upTo: number): void {
    const count = Math.min(this.#items.length, upTo - this.#first + 1)
    if (count <= 0) return
    for (const item of this.#items.slice(0, count)) this.#chars -= item.length
    this.#drop(count)
  }

  #drop(count: number): void {
    if (count === 0) return
    this.#items.splice(0, count)
    this.#first += count
  }
}
