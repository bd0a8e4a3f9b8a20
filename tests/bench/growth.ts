import { setTimeout as sleep } from "node:timers/promises"
import { type Arrivals, eventText } from "./fan-out.ts"
import type { OpenRelay, Relay } from "./relays/relay.ts"
import { median } from "./statistics.ts"

const BATCH = 100
const MEASURED_BATCHES = 50
const ROOMS = 500
const EVENTS_PER_ROOM = 4
/** Longer than the room's flush interval, so that each event is a flush of its own. */
const SPACING_MS = 25

/** P15: time per event with a log of `before` entries, for each size asked for, in one growing room. */
export async function timePerEventAsLogGrows(
  relay: Relay,
  arrivals: Arrivals,
  sizes: readonly number[],
): Promise<number[]> {
  const room = await relay.open(1)
  let next = 0
  const sendBatch = async () => {
    const all = arrivals.expect(BATCH)
    const startedAt = performance.now()
    room.send(Array.from({ length: BATCH }, () => eventText(next++)))
    await all
    return (performance.now() - startedAt) / BATCH
  }
  const times: number[] = []
  for (const size of sizes) {
    while (next < size) await sendBatch()
    const measured: number[] = []
    for (let batch = 0; batch < MEASURED_BATCHES; batch++) measured.push(await sendBatch())
    times.push(median(measured))
  }
  room.close()
  return times
}

/** P15: CPU of the rooms' processes per event, with one room and with many, at one flush per event in both. */
export async function cpuPerEventAsRoomsGrow(
  relay: Relay,
  arrivals: Arrivals,
  cpuMs: () => number,
): Promise<{ one: number; many: number }> {
  const events = ROOMS * EVENTS_PER_ROOM
  const measure = async (rooms: OpenRelay[]) => {
    const all = arrivals.expect(events)
    const before = cpuMs()
    const perRoom = events / rooms.length
    for (let event = 0; event < perRoom; event++) {
      for (const [index, room] of rooms.entries()) {
        room.send([eventText(event)])
        // Spread over the spacing, so that many rooms do not all speak in one instant.
        if (index % 20 === 19) await sleep(1)
      }
      await sleep(SPACING_MS)
    }
    await all
    return (cpuMs() - before) / events
  }
  const single = await relay.open(1)
  const one = await measure([single])
  single.close()
  const many: OpenRelay[] = []
  for (let room = 0; room < ROOMS; room++) many.push(await relay.open(1))
  const result = { one, many: await measure(many) }
  for (const room of many) room.close()
  return result
}
