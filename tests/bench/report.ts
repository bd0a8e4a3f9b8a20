import { cpus } from "node:os"
import type { Spread } from "./statistics.ts"

/** One bar of the project and how it came out. */
export type Bar = {
  id: string
  what: string
  bar: string
  measured: string
  /** Pair by pair, as both sides ran right after each other. */
  ratio?: Spread
  holds: boolean
}

export function renderReport(bars: readonly Bar[], rounds: number): string {
  const rows = bars.map(({ id, what, bar, measured, ratio, holds }) => {
    const spread = ratio ? `${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)}` : "–"
    return `| ${id} | ${what} | ${bar} | ${measured} | ${spread} | ${holds ? "yes" : "**no**"} |`
  })
  return `# Benchmarks

Written by \`make bench\`. Ratios on one machine with ${cpus().length} cores, ours and the other interleaved, medians of
${rounds} rounds unless said otherwise; the spread is the smallest and largest ratio of a pair. Absolute times of a
shared machine mean nothing and are left out.

The bare relays stand in \`tests/bench/relays/\`: a Durable Object that only stores and forwards, with and without
batching, fed one message per event; and plain \`ws\` with a durable SQLite insert per event. P3's bursts are short, so
each has ${3 * rounds} rounds. All viewers of a round share one thread, so they search frames for the events instead of
parsing them, for every relay alike; the server that our rooms post to is a process of its own. Bare OpenCode is the same
binary with the same configuration, asked over its own API and read from its own event stream. P2's first row has a
model that answers at once, so it shows our part alone, to which the bar in milliseconds applies; its second row has a
model that takes as long as a quick hosted one, which is the wait that the bar's ratio is about.

| id | what | bar | measured | spread | holds |
|---|---|---|---|---|---|
${rows.join("\n")}

Not measured here: Open-Inspect itself (so P6 stands beside a bare read instead, and without a browser), Cloudflare's
production runtime, Modal.
`
}
