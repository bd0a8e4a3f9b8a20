import { readFileSync } from "node:fs"
import { identity, parentOf } from "./process-identity.ts"

/**
 * The npm that started this program, and the make that started that npm, as identities. When one of them is killed it
 * can pass on no signal, and nobody who holds it can end this program any more.
 */
export function starters(): string[] {
  const npm = process.ppid
  if (!/^npm\b/.test(nameOf(npm))) return []
  const make = parentOf(npm)
  const pids = /^g?make$/.test(nameOf(make)) ? [npm, make] : [npm]
  return pids.flatMap((pid) => identity(pid) ?? [])
}

function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim()
  } catch {
    return ""
  }
}
