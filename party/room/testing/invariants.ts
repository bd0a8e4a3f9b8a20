import type { Entry } from "../../protocol/entry.ts"
import type { ModelRunner } from "./model-runner.ts"
import type { ModelServer } from "./model-server.ts"
import type { ModelViewer } from "./model-viewer.ts"
import type { World } from "./world.ts"

/**
 * I1: a viewer that holds the log up to n has of every key its newest version up to n, or will be sent a newer one:
 * versions that were replaced are in no replay.
 */
export function checkComplete(world: World, viewer: ModelViewer): void {
  const { cursor, entries } = viewer.log
  if (cursor.epoch !== world.state.meta.log.epoch) return
  for (const [key, { seq }] of world.store.entries) {
    const held = entries.get(key)?.seq ?? 0
    if (seq <= cursor.seq && held < seq) {
      throw new Error(`[I1] complete to ${cursor.seq} but ${key} is ${held}, not ${seq}`)
    }
  }
}

/** I2: what the runner got an acknowledgement for is stored, in that version or a later one; reports once. */
export function checkAcknowledged(world: World, server: ModelServer, runner: ModelRunner): void {
  const acked = runner.outbox.slice(0, runner.acked)
  for (const item of acked) {
    if (!("entry" in item)) continue
    const { entry } = item
    const stored = newestEntry(world, server, entry.key)
    if (!stored || versionOf(stored) < versionOf(entry)) {
      throw new Error(`[I2] ${entry.key} was acknowledged but is not stored`)
    }
  }
}

/** I3: the viewers hold the same bytes, which are the stored ones. */
export function checkSame(world: World, server: ModelServer, viewers: ModelViewer[]): void {
  const keys = new Set([...world.store.entries.keys(), ...server.entries.keys()])
  for (const { log } of viewers) {
    if (log.entries.size !== keys.size) {
      throw new Error(`[I3] a viewer holds ${log.entries.size} of ${keys.size} entries`)
    }
    for (const key of keys) {
      const stored = JSON.stringify(newestEntry(world, server, key))
      const held = JSON.stringify(log.entries.get(key))
      if (held !== stored)
        throw new Error(`[I3] ${key} is held as ${short(held)}, stored as ${short(stored)}`)
    }
  }
}

/** D15: every viewer knows whether posts fail, however it was held up meanwhile. */
export function checkOutage(world: World, viewers: ModelViewer[]): void {
  const expected = JSON.stringify(world.state.outage)
  for (const { outage } of viewers) {
    const told = JSON.stringify(outage)
    if (told !== expected) throw new Error(`[D15] a viewer was told ${told}, it is ${expected}`)
  }
}

/** I4: every attempt was executed at most once and has ended; D14: what came back was not executed. */
export function checkAttempts(server: ModelServer, runners: ModelRunner[]): void {
  const executed = runners.flatMap((runner) => runner.executed)
  if (new Set(executed).size !== executed.length) {
    throw new Error(`[I4] something was executed twice: ${executed.join(", ")}`)
  }
  for (const { claim, state } of server.attempts) {
    if (state === "dispatched") throw new Error(`[I4] ${claim.promptId} has not ended`)
    if (state === "returned" && executed.includes(`${claim.promptId}/${claim.attempt}`)) {
      throw new Error(`[D14] ${claim.promptId} was returned after the agent had read it`)
    }
  }
}

/** I6: the text of a completed part is the agent's own. */
export function checkTexts(world: World, server: ModelServer, runner: ModelRunner): void {
  for (const { key, text, done } of runner.texts.values()) {
    const stored = newestEntry(world, server, key)
    if (!done || !stored || runner.acked < runner.outbox.length) continue
    if (!("text" in stored) || stored.text !== text) {
      throw new Error(
        `[I6] ${key} is stored as ${short(JSON.stringify(stored))}, not ${short(text)}`,
      )
    }
  }
}

function newestEntry(world: World, server: ModelServer, key: string): Entry | undefined {
  const row = world.store.entries.get(key)
  const body = row && world.store.history.get(row.seq)?.body
  return body ? JSON.parse(body) : server.entries.get(key)
}

/** The model agent's texts only grow and its tools count up. */
function versionOf(entry: { kind: string; text?: unknown; output?: unknown }): number {
  return entry.kind === "tool" ? Number(entry.output) : String(entry.text ?? "").length
}

const short = (text: string | undefined) => (text ?? "nothing").slice(0, 200)
