import { randomInt } from "node:crypto"
import { isExecutable } from "./access.ts"
import { readRealtimeLimit } from "./process-table.ts"

const WIDEST_TAG = 2 ** 48 - 1
/** 12 days in µs: programs that limit themselves do so to less than a second. */
export const SMALLEST_TAG = 2 ** 40

/**
 * Values for RLIMIT_RTTIME, which every process inherits and which means nothing to one that is not scheduled in real
 * time. Below this process's own limit, as no one may raise it: a sandbox may itself hold sandboxes.
 */
export function mintRealtimeTag(prlimit: string | null): number | null {
  if (!prlimit) return null
  const ceiling = Math.min(readRealtimeLimit() ?? WIDEST_TAG, WIDEST_TAG)
  const floor = Math.floor(ceiling / 2)
  return floor < SMALLEST_TAG ? null : randomInt(floor, ceiling)
}

/** Path of util-linux's `prlimit`, null where there is none. */
export function findPrlimit(): string | null {
  if (process.platform !== "linux") return null
  const candidates = ["/usr/bin/prlimit", "/bin/prlimit", "/usr/sbin/prlimit"]
  return candidates.find(isExecutable) ?? null
}
