const DEFAULT_SEEDS = 5

/** The instants at which each fault is tried: 1 to `FAULT_SEEDS`, or those alone that `FAULT_SEED` names. */
export const seeds =
  process.env.FAULT_SEED?.split(",").map(Number) ??
  Array.from({ length: Number(process.env.FAULT_SEEDS) || DEFAULT_SEEDS }, (_, index) => index + 1)

/** Seeds that meet one fault together, each with a session of its own. */
export function groups(size: number): number[][] {
  return seeds.flatMap((_, index) => (index % size === 0 ? [seeds.slice(index, index + size)] : []))
}

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
