import type { Diff } from "#protocol/work"

/** Most characters of a diff as JSON: it travels in one message with room to spare. */
const MAX_DIFF_CHARS = 850 * 1024

/** The diff within its size limit: patches of the largest files go first, then the last files. */
export function boundDiff(diff: Diff, maxChars = MAX_DIFF_CHARS): Diff {
  const files = [...diff.files]
  let chars = JSON.stringify(diff).length
  if (chars <= maxChars) return diff
  const sizes = files.map((file, index) => ({ index, chars: JSON.stringify(file.patch).length }))
  for (const { index, chars: patchChars } of sizes.toSorted((a, b) => b.chars - a.chars)) {
    const file = files[index]
    if (chars <= maxChars || !file) break
    files[index] = { ...file, patch: "" }
    chars -= patchChars - 2
  }
  while (chars > maxChars) {
    const last = files.pop()
    if (!last) break
    chars -= JSON.stringify(last).length + 1
  }
  return { ...diff, files, truncated: true }
}
