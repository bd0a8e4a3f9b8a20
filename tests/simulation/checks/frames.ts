import type { ToViewer } from "#protocol/viewer"
import type { Watcher } from "../parts/watcher.ts"
import type { SimulatedWorld } from "../simulated-world.ts"

/** What one viewer was seen to hold. */
type Seen = { cursor: string; upTo: number; lengths: Map<string, number> }

const seenBy = new WeakMap<Watcher, Seen>()

/** What must hold after every message that a viewer applies. */
export function checkFrame(world: SimulatedWorld, watcher: Watcher, message: ToViewer): void {
  if (message.type !== "frame") return
  const { epoch, seq } = watcher.log.cursor
  let seen = seenBy.get(watcher)
  if (seen?.cursor !== `${watcher.loads}:${epoch}` || seen.upTo > seq) {
    seen = { cursor: `${watcher.loads}:${epoch}`, upTo: 0, lengths: seen?.lengths ?? new Map() }
    if (watcher.loads > 0) seen.lengths.clear()
  }
  checkGrowth(world, watcher, seen)
  if (epoch === world.room.world.state.meta.log.epoch) checkComplete(world, watcher, seen.upTo)
  seen.upTo = seq
  seenBy.set(watcher, seen)
}

/** I6: a text that is open only grows. What a dead room had not stored of it is lost when its runner is lost too. */
function checkGrowth(
  { simulation }: SimulatedWorld,
  { name, log }: Watcher,
  { lengths }: Seen,
): void {
  for (const key of log.changed) {
    const entry = log.entries.get(key)
    if (entry?.kind !== "text" && entry?.kind !== "reasoning") continue
    const before = lengths.get(key) ?? 0
    if (!entry.done && entry.text.length < before) {
      simulation.violate(`[I6] ${name}: ${key} shrank from ${before} to ${entry.text.length}`)
    }
    lengths.set(key, entry.text.length)
  }
}

/** I1: what is complete up to n holds of every key its newest version up to n, or will be sent a newer one. */
function checkComplete({ simulation, room }: SimulatedWorld, watcher: Watcher, from: number): void {
  const { store } = room.world
  const { entries, cursor } = watcher.log
  for (let seq = from + 1; seq <= cursor.seq; seq++) {
    const key = store.history.get(seq)?.key
    if (key === undefined || store.entries.get(key)?.seq !== seq) continue
    const held = entries.get(key)?.seq ?? 0
    if (held >= seq) continue
    simulation.violate(
      `[I1] ${watcher.name} is complete to ${cursor.seq} but holds ${key} of ${held}, not ${seq}`,
    )
  }
}
