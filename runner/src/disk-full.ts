import { statfs } from "node:fs/promises"
import type { Failure } from "#protocol/entry"

export const DISK_FULL: Failure = {
  reason: "disk-full",
  message:
    "The sandbox's disk is full, so the work was stopped. Remove large files, then try again.",
}

/** With less than this even a small database cannot grow. */
const LEAST_BYTES = 64 * 1024

/** Whether the disk of a directory takes no more than this. What cannot be known counts as no. */
export async function isDiskFull(directory: string, leastBytes = LEAST_BYTES): Promise<boolean> {
  try {
    const { bavail, bsize } = await statfs(directory)
    return bavail * bsize < leastBytes
  } catch {
    return false
  }
}
