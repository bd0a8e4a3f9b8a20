import type { SessionLog } from "#protocol/session-log"
import { type Watch, watchSession } from "../../dev/watch-session.ts"
import { canonical } from "./canonical.ts"
import type { FaultStack } from "./fault-stack.ts"
import { Shown } from "./shown.ts"

/** A browser's view of a session. */
export class Viewer {
  readonly shown = new Shown()
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
      (message, log) => viewer.shown.note(message, log),
    )
    return viewer
  }

  get log(): SessionLog {
    if (!this.#watch) throw new Error("The viewer is not open.")
    return this.#watch.log
  }

  /** Entries as JSON in the order on screen: what two viewers compare. */
  screen(): string[] {
    const { order, entries } = this.log
    return order.map((key) => canonical(entries.get(key)))
  }

  async until(what: string, withinMs: number, holds: (log: SessionLog) => boolean): Promise<void> {
    await this.#watch?.until(what, holds, withinMs)
  }

  expectLostDeltas(): void {
    this.shown.expectLostDeltas(this.log)
  }

  close(): void {
    this.#watch?.close()
  }
}
