import { startPlainRelay } from "./relays/plain-relay.ts"
import { eventTextOf, type Relay } from "./relays/relay.ts"

export const VIEWER_COUNTS = [1, 10, 50, 100]

const EVENTS = 2_000
/** An unbatched object needs minutes for more. */
const UNBATCHED_EVENTS = 300
/** What the runner's link puts into one message while it is busy. */
const RUNNER_BATCH = 20
const TOOL_EVENT_CHARS = 500
const RUN_DEADLINE_MS = 120_000

/** Counts arrivals of the one run that is under way. */
export class Arrivals {
  #expected = 0
  #done: () => void = () => {}
  at: (viewer: number, event: number) => void = () => {}

  readonly arrived = (viewer: number, event: number): void => {
    this.at(viewer, event)
    if (--this.#expected === 0) this.#done()
  }

  expect(count: number): Promise<void> {
    this.#expected = count
    return new Promise((resolve, reject) => {
      const deadline = setTimeout(
        () => reject(new Error(`${this.#expected} deliveries are missing`)),
        RUN_DEADLINE_MS,
      )
      this.#done = () => {
        clearTimeout(deadline)
        resolve()
      }
    })
  }
}

const OBJECT = "bare-object.server.ts"

export async function startBareRelays(arrivals: Arrivals): Promise<Relay[]> {
  return [
    await startPlainRelay(
      { name: "bare batched object", script: OBJECT, argument: "16" },
      arrivals.arrived,
    ),
    await startPlainRelay({ name: "bare object", script: OBJECT, argument: "0" }, arrivals.arrived),
    await startPlainRelay(
      { name: "ws + SQLite", script: "ws-sqlite.server.ts", argument: "-" },
      arrivals.arrived,
    ),
  ]
}

export const eventText = (number: number) => eventTextOf(number, TOOL_EVENT_CHARS)

/**
 * Deliveries per second when one producer sends as fast as it can: our runner in batches, as it does, the bare relays
 * one message per event, as their simplest producer would.
 */
export async function deliveriesPerSecond(
  relay: Relay,
  arrivals: Arrivals,
  viewers: number,
): Promise<number> {
  const events = relay.name === "bare object" ? UNBATCHED_EVENTS : EVENTS
  const room = await relay.open(viewers)
  const batch = relay.batches ? RUNNER_BATCH : 1
  const all = arrivals.expect(events * viewers)
  const startedAt = performance.now()
  for (let first = 0; first < events; first += batch) {
    room.send(Array.from({ length: batch }, (_, offset) => eventText(first + offset)))
  }
  await all
  const elapsedMs = performance.now() - startedAt
  room.close()
  return (events * viewers * 1000) / elapsedMs
}
