import { mkdirSync, statSync } from "node:fs"
import { dirname } from "node:path"

/**
 * Makes a directory of this user's own and what is missing above it. Node's recursive form asks for ever where a
 * file system refuses new names as if their parent were missing, as /proc does; this throws its ENOENT.
 */
export function makeDirectory(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return
  if (dirname(path) !== path) makeDirectory(dirname(path))
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    // Somebody else may have made it meanwhile.
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error
  }
}
