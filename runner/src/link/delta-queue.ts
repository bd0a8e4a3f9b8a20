import type { Delta } from "#protocol/runner"

type Group = { after: number; deltas: Delta[]; newest: Map<string, Delta> }

/**
 * Streamed text that waits to be sent. Each piece may go only after the outbox items that were taken before it, so it
 * never overtakes the entry that opens its text. Pieces that continue each other become one.
 */
export class DeltaQueue {
  readonly #groups: Group[] = []
  #chars = 0

  /** Characters waiting. */
  get chars(): number {
    return this.#chars
  }

  /** Number of the item that must be sent before the oldest waiting pieces, or null when nothing waits. */
  get after(): number | null {
    return this.#groups[0]?.after ?? null
  }

  /** `after` is the number of the newest item taken so far. */
  add(after: number, deltas: Delta[]): void {
    let group = this.#groups.at(-1)
    if (group?.after !== after) {
      group = { after, deltas: [], newest: new Map() }
      this.#groups.push(group)
    }
    for (const delta of deltas) this.#append(group, delta)
  }

  /** The oldest pieces that wait for the same item: one, and more while they fit `maxChars` together. */
  take(maxChars: number): Delta[] {
    const group = this.#groups[0]
    if (!group) return []
    const taken: Delta[] = []
    let chars = 0
    for (const delta of group.deltas) {
      chars += delta[0].length + delta[2].length
      if (taken.length > 0 && chars > maxChars) break
      taken.push(delta)
    }
    group.deltas.splice(0, taken.length)
    for (const delta of taken) {
      this.#chars -= delta[2].length
      if (group.newest.get(delta[0]) === delta) group.newest.delete(delta[0])
    }
    if (group.deltas.length === 0) this.#groups.shift()
    return taken
  }

  clear(): void {
    this.#groups.length = 0
    this.#chars = 0
  }

  #append(group: Group, [key, offset, text]: Delta): void {
    this.#chars += text.length
    const before = group.newest.get(key)
    if (before && before[1] + before[2].length === offset) {
      before[2] += text
      return
    }
    const delta: Delta = [key, offset, text]
    group.deltas.push(delta)
    group.newest.set(key, delta)
  }
}
