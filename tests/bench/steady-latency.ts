import type { Arrivals } from "./fan-out.ts"
import { eventText } from "./fan-out.ts"
import type { Relay } from "./relays/relay.ts"
import { quantile } from "./statistics.ts"

const EVENTS_PER_SECOND = 100
const SECONDS = 5

/** P4: milliseconds from sending to receiving at a steady rate, 95th percentile over all deliveries. */
export async function steadyLatencyMs(
  relay: Relay,
  arrivals: Arrivals,
  viewers: number,
): Promise<number> {
  const events = EVENTS_PER_SECOND * SECONDS
  const room = await relay.open(viewers)
  const sentAt: number[] = []
  const latencies: number[] = []
  arrivals.at = (_, event) => latencies.push(performance.now() - (sentAt[event] ?? Number.NaN))
  const all = arrivals.expect(events * viewers)
  const startedAt = performance.now()
  for (let event = 0; event < events; event++) {
    const dueAt = startedAt + (event * 1000) / EVENTS_PER_SECOND
    const waitMs = dueAt - performance.now()
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs))
    sentAt[event] = performance.now()
    room.send([eventText(event)])
  }
  await all
  arrivals.at = () => {}
  room.close()
  return quantile(latencies, 0.95)
}
