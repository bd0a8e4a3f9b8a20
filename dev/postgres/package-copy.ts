import { randomUUID } from "node:crypto"
import {
  chmodSync,
  copyFileSync,
  globSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
} from "node:fs"
import { join } from "node:path"

/**
 * Copies the package's programs to a directory in `parent` that every account can read, and names it. Whole when it
 * returns, also when several launchers copy at once or a cleaner of temporary files has taken a part away.
 * Undefined when there is no safe place in `parent`.
 */
export function copyPackage(native: string, parent: string): string | undefined {
  const { version } = JSON.parse(readFileSync(join(native, "../package.json"), "utf8"))
  const copy = join(parent, `agent-ops-postgres-${version}`)
  if (!claimDirectory(copy)) return undefined
  const names = globSync("{bin,lib,share}/**", { cwd: native, exclude: ["**/*.a"] }).sort()
  for (const name of ["pg-symlinks.json", ...names]) {
    const original = statSync(join(native, name))
    if (original.isDirectory()) makeReadable(join(copy, name))
    else copyFile(join(native, name), join(copy, name), original.size)
  }
  return copy
}

/** Only a directory of our own that nobody else can write: what lies there gets executed. */
function claimDirectory(path: string): boolean {
  try {
    makeReadable(path)
    const found = lstatSync(path)
    return found.isDirectory() && found.uid === process.geteuid?.()
  } catch {
    return false
  }
}

function makeReadable(directory: string): void {
  if (mkdirSync(directory, { recursive: true })) chmodSync(directory, 0o755)
}

function copyFile(from: string, to: string, sizeBytes: number): void {
  if (statSync(to, { throwIfNoEntry: false })?.size === sizeBytes) return
  const draft = `${to}.${randomUUID()}`
  copyFileSync(from, draft)
  chmodSync(draft, 0o755)
  renameSync(draft, to)
}
