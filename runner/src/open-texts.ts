import type { DraftEntry } from "#protocol/entry"

/** Which entries have text that still grows: the ones that may have lost streamed text after the room was away. */
export class OpenTexts {
  readonly #keys = new Set<string>()

  note(entry: DraftEntry): void {
    if (entry.kind !== "text" && entry.kind !== "reasoning") return
    if (entry.done || entry.removed) this.#keys.delete(entry.key)
    else this.#keys.add(entry.key)
  }

  get keys(): string[] {
    return [...this.#keys]
  }
}
