import { execFileSync } from "node:child_process"
import { mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs"
import { join } from "node:path"

/** A disk that can be filled. Sizes are as mount takes them: `8m`. */
export type SmallDisk = {
  resize: (size: string) => void
  fill: () => void
  empty: () => void
}

const WAYS = { root: ["--mount"], anybody: ["--user", "--map-root-user", "--mount"] }

/**
 * What a command is started behind to see mounts of its own: root may mount, everybody else in a user namespace.
 * Throws a sentence on a machine that allows neither.
 */
export function ownMounts(): string[] {
  const ways = process.getuid?.() === 0 ? [WAYS.root, WAYS.anybody] : [WAYS.anybody]
  for (const way of ways) {
    try {
      execFileSync("unshare", [...way, "mount", "-t", "tmpfs", "none", "/mnt"], { stdio: "pipe" })
      return ["unshare", ...way]
    } catch {
      // The next way may be allowed.
    }
  }
  throw new Error(
    "A full disk cannot be tested here: util-linux's unshare, and either root with CAP_SYS_ADMIN or user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone), are needed.",
  )
}

/** Runs `work` while a directory is a disk of its own, of this size, for the process `pid` and what it started. */
export async function onSmallDisk(
  { pid, directory, size }: { pid: number; directory: string; size: string },
  work: (disk: SmallDisk) => Promise<void>,
): Promise<void> {
  const seen = join(seenBy(pid), directory)
  const filler = join(seen, "filler")
  mkdirSync(directory, { recursive: true })
  mount(pid, directory, size)
  try {
    await work({
      resize: (next) => mount(pid, directory, `${next},remount`),
      fill: () => {
        const { bavail, bsize } = statfsSync(seen)
        writeFileSync(filler, new Uint8Array(bavail * bsize))
      },
      empty: () => rmSync(filler),
    })
  } finally {
    inNamespaceOf(pid, "umount", "--lazy", directory)
  }
}

/** Where the files that a process sees are for us. */
export const seenBy = (pid: number) => `/proc/${pid}/root`

function mount(pid: number, directory: string, size: string): void {
  const options = `mode=700,size=${size}`
  inNamespaceOf(pid, "mount", "-t", "tmpfs", "-o", options, "agent-ops-test", directory)
}

function inNamespaceOf(pid: number, ...command: string[]): void {
  const isOwnUser = ownMounts().includes("--user")
  const namespaces = isOwnUser ? ["--user", "--mount"] : ["--mount"]
  execFileSync("nsenter", ["--target", `${pid}`, ...namespaces, ...command], { stdio: "pipe" })
}
