import type { Entry } from "#protocol/entry"
import type { SessionLog } from "#protocol/session-log"
import type { RunnerLink, ToViewer } from "#protocol/viewer"
import { type Watch, watchSession } from "../../dev/watch-session.ts"
import type { FaultStack } from "./fault-stack.ts"

/** A browser's view of a session, which remembers all that it was ever shown. */
export class Viewer {
  /** Every version of every entry that arrived, as JSON, by `key@seq`. */
  readonly shown = new Map<string, string>()
  /** What must never be seen. */
  readonly offences: string[] = []
  /** When the room answered hello, on the clock of `performance.now()`. */
  readonly replays: number[] = []
  /** When frames arrived, on the same clock. */
  readonly frames: number[] = []
  readonly links: { link: RunnerLink; at: number }[] = []
  resyncs = 0
  readonly #lengths = new Map<string, number>()
  readonly #mayShrink = new Set<string>()
  #watch: Watch | undefined

  static async open(stack: FaultStack, sessionId: string): Promise<Viewer> {
    const viewer = new Viewer()
    viewer.#watch = await watchSession(
      {
        connect: async () => {
          const connection = await stack.api.session.connect.mutate({ sessionId })
          // A wire that fails stands between sandbox and room, not here.
          const { pathname } = new URL(connection.url)
          return { ...connection, url: new URL(pathname, stack.line.roomsUrl).href }
        },
        page: (since, limit) => stack.api.timeline.page.query({ sessionId, since, limit }),
      },
      (message, log) => viewer.#note(message, log),
    )
    return viewer
  }

  get log(): SessionLog {
    if (!this.#watch) throw new Error("The viewer is not open.")
    return this.#watch.log
  }

  get link(): RunnerLink | undefined {
    return this.links.at(-1)?.link
  }

  /** Entries as JSON in the order on screen: what two viewers compare. */
  screen(): string[] {
    const { order, entries } = this.log
    return order.map((key) => canonical(entries.get(key)))
  }

  async until(what: string, withinMs: number, holds: (log: SessionLog) => boolean): Promise<void> {
    await this.#watch?.until(what, holds, withinMs)
  }

  /** Text that was only streamed is gone when all who held it die at once: what is open now may shrink. */
  expectLostDeltas(): void {
    for (const entry of this.log.entries.values()) {
      const isText = entry.kind === "text" || entry.kind === "reasoning"
      if (isText && !entry.done) this.#mayShrink.add(entry.key)
    }
  }

  close(): void {
    this.#watch?.close()
  }

  #note(message: ToViewer, log: SessionLog): void {
    if (message.type === "replay") {
      this.replays.push(performance.now())
      this.#linked(message.runner)
    } else if (message.type === "runner") this.#linked(message.link)
    else if (message.type === "resync") this.resyncs++
    else if (message.type === "frame") {
      this.frames.push(performance.now())
      for (const entry of message.entries ?? []) this.#keep(entry)
    }
    for (const key of log.changed) this.#measure(key, log)
  }

  #linked(link: RunnerLink): void {
    if (this.link !== link) this.links.push({ link, at: performance.now() })
  }

  #keep(entry: Entry): void {
    const version = `${entry.key}@${entry.seq}`
    const json = canonical(entry)
    const before = this.shown.get(version)
    if (before !== undefined && before !== json) {
      this.offences.push(`${version} was shown as ${before} and later as ${json}`)
    }
    this.shown.set(version, json)
  }

  /** No text ever gets shorter, but for the spaces at its end that the agent itself cuts off. */
  #measure(key: string, log: SessionLog): void {
    const entry = log.entries.get(key)
    if (entry?.kind !== "text" && entry?.kind !== "reasoning") return
    const { length } = entry.text.trimEnd()
    const longest = this.#lengths.get(key) ?? 0
    if (length < longest && !this.#mayShrink.has(key))
      this.offences.push(`${key} shrank from ${longest} to ${length}`)
    this.#lengths.set(key, Math.max(length, longest))
  }
}

/** One text for one value, whatever the order of its fields. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}
