import type { Entry } from "#protocol/entry"
import type { SessionLog } from "#protocol/session-log"
import type { Outage, RunnerLink, ToViewer } from "#protocol/viewer"
import { canonical } from "./canonical.ts"

/** All that one viewer was ever shown, and what of it must never be seen. */
export class Shown {
  /** Every version of every entry that arrived, as JSON, by `key@seq`. */
  readonly versions = new Map<string, string>()
  readonly offences: string[] = []
  /** When the room answered hello, on the clock of `performance.now()`. */
  readonly replays: number[] = []
  /** When frames arrived, on the same clock. */
  readonly frames: number[] = []
  readonly links: { link: RunnerLink; at: number }[] = []
  /** What the room said of posts that fail, each change of it. */
  readonly outages: { outage: Outage | null; at: number }[] = []
  readonly #lengths = new Map<string, number>()
  readonly #mayShrink = new Set<string>()

  get link(): RunnerLink | undefined {
    return this.links.at(-1)?.link
  }

  /** Why the history is not being stored at the moment, as this viewer knows. */
  get outage(): Outage | null {
    return this.outages.at(-1)?.outage ?? null
  }

  /** What arrived, and the log that it was applied to. */
  note(message: ToViewer, log: SessionLog): void {
    if (message.type === "replay") {
      this.replays.push(performance.now())
      this.#linked(message.runner)
      this.#told(message.outage)
    } else if (message.type === "runner") this.#linked(message.link)
    else if (message.type === "outage") this.#told(message.outage)
    else if (message.type === "frame") {
      this.frames.push(performance.now())
      for (const entry of message.entries ?? []) this.#keep(entry)
    }
    for (const key of log.changed) this.#measure(key, log)
  }

  /** Text that was only streamed is gone when all who held it die at once: what is open now may shrink. */
  expectLostDeltas(log: SessionLog): void {
    for (const entry of log.entries.values()) {
      const isText = entry.kind === "text" || entry.kind === "reasoning"
      if (isText && !entry.done) this.#mayShrink.add(entry.key)
    }
  }

  #linked(link: RunnerLink): void {
    if (this.link !== link) this.links.push({ link, at: performance.now() })
  }

  #told(outage: Outage | null): void {
    if (this.outage?.startedAt !== outage?.startedAt)
      this.outages.push({ outage, at: performance.now() })
  }

  #keep(entry: Entry): void {
    const version = `${entry.key}@${entry.seq}`
    const json = canonical(entry)
    const before = this.versions.get(version)
    if (before !== undefined && before !== json) {
      this.offences.push(`I5 ${version} was shown as ${before} and later as ${json}`)
    }
    this.versions.set(version, json)
  }

  /** No text ever gets shorter, but for the spaces at its end that the agent itself cuts off. */
  #measure(key: string, log: SessionLog): void {
    const entry = log.entries.get(key)
    if (entry?.kind !== "text" && entry?.kind !== "reasoning") return
    const { length } = entry.text.trimEnd()
    const longest = this.#lengths.get(key) ?? 0
    if (length < longest && !this.#mayShrink.has(key)) {
      this.offences.push(`I6 ${key} shrank from ${longest} to ${length}`)
    }
    this.#lengths.set(key, Math.max(length, longest))
  }
}
