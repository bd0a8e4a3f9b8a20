const DEFAULT_SEEDS = 5

/** How many instants each fault is tried at; `FAULT_SEEDS` says it. */
export const seedCount = Number(process.env.FAULT_SEEDS) || DEFAULT_SEEDS

export const seeds = Array.from({ length: seedCount }, (_, index) => index + 1)

/** The same number between 0 and 1 for the same seed, spread evenly over seeds (mulberry32). */
export function random(seed: number): number {
  let mixed = Math.imul(seed, 0x6d2b79f5)
  mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
}

/** Lets the instant come that the seed decides, at most so late. */
export function instant(seed: number, withinMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, random(seed) * withinMs))
}
