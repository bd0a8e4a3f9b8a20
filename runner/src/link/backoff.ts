const SHORTEST_MS = 200
const LONGEST_MS = 5_000

/**
 * How long to wait before the next try after `failures` short-lived connections in a row. `random` in [0, 1) spreads
 * runners that lost the same room.
 */
export function reconnectDelayMs(failures: number, random: number): number {
  const delayMs = Math.min(LONGEST_MS, SHORTEST_MS * 2 ** failures)
  return Math.round(delayMs * (0.5 + random / 2))
}
