import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** A disk that can be filled. Sizes are as mount takes them: `8m`. */
export type SmallDisk = {
  resize: (size: string) => void
  fill: () => void
  empty: () => void
}

/** Runs `work` while a directory is a disk of its own, of this size. */
export async function onSmallDisk(
  directory: string,
  size: string,
  work: (disk: SmallDisk) => Promise<void>,
): Promise<void> {
  const filler = join(directory, "filler")
  mount(directory, size)
  try {
    await work({
      resize: (next) => mount(directory, `${next},remount`),
      fill: () => {
        const { bavail, bsize } = statfsSync(directory)
        writeFileSync(filler, new Uint8Array(bavail * bsize))
      },
      empty: () => rmSync(filler),
    })
  } finally {
    unmount(directory)
  }
}

/** Whether this machine lets us mount: root may, unless it sits in a container that forbids it. */
export function canMount(): boolean {
  if (process.getuid?.() !== 0) return false
  const directory = mkdtempSync(join(tmpdir(), "small-disk-"))
  try {
    mount(directory, "1m")
    unmount(directory)
    return true
  } catch {
    return false
  } finally {
    rmSync(directory, { recursive: true })
  }
}

function mount(directory: string, size: string): void {
  mkdirSync(directory, { recursive: true })
  const options = `mode=700,size=${size}`
  const args = ["-t", "tmpfs", "-o", options, "agent-ops-test", directory]
  execFileSync("mount", args, { stdio: "pipe" })
}

function unmount(directory: string): void {
  execFileSync("umount", ["--lazy", directory])
}
