/** Chance that repeats: the same seed and stream give the same numbers. Each stream is independent of the others. */
export class Random {
  #a: number
  #b: number
  #c: number
  #d = 1

  constructor(seed: number, stream: string) {
    this.#a = hash(`${stream}:a:${seed}`)
    this.#b = hash(`${stream}:b:${seed}`)
    this.#c = hash(`${stream}:c:${seed}`)
    for (let i = 0; i < 12; i++) this.#uint32()
  }

  /** In [0, 1). */
  next(): number {
    return this.#uint32() / 4_294_967_296
  }

  /** Whole, from `min` to `max` inclusive. */
  int(min: number, max: number): number {
    return min + Math.floor(this.next() * (max - min + 1))
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  /** Waiting times of events that happen every `mean` on average. */
  exponential(mean: number): number {
    return -Math.log(1 - this.next()) * mean
  }

  pick<Item>(items: readonly [Item, ...Item[]]): Item
  pick<Item>(items: readonly Item[]): Item | undefined
  pick<Item>(items: readonly Item[]): Item | undefined {
    return items[this.int(0, items.length - 1)]
  }

  /** One of the names, each as likely as its weight. */
  weighted<Name extends string>(weights: Partial<Record<Name, number>>): Name {
    const entries = Object.entries(weights) as [Name, number][]
    let left = this.next() * entries.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [name, weight] of entries) {
      left -= weight
      if (left < 0) return name
    }
    const last = entries.at(-1)
    if (!last) throw new Error("there is nothing to choose from")
    return last[0]
  }

  bytes(count: number): Buffer {
    const bytes = Buffer.alloc(count)
    for (let i = 0; i < count; i++) bytes[i] = this.int(0, 255)
    return bytes
  }

  /** Small fast counter. */
  #uint32(): number {
    const sum = (this.#a + this.#b + this.#d) | 0
    this.#d = (this.#d + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum
    return sum >>> 0
  }
}

function hash(text: string): number {
  let value = 2_166_136_261
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 16_777_619)
  return value | 0
}
