/** Prints what was measured: the report of a run shows how far the deadlines are. */
export function tell(what: string, milliseconds: number[]): void {
  const sorted = milliseconds.toSorted((a, b) => a - b)
  const at = (share: number) => Math.round(sorted[Math.floor((sorted.length - 1) * share)] ?? 0)
  console.info(`${what}: median ${at(0.5)} ms, most ${at(1)} ms, of ${sorted.length}`)
}
