import { mkdir, readFile, rm, writeFile } from "node:fs/promises"
import { dirname } from "node:path"
import type { Log } from "../log.ts"
import { killMarked, markedProcesses } from "./process-tree.ts"

/** Notes the mark of the OpenCode that is about to start, for the runner that comes after a crash of this one. */
export async function noteMark(file: string, mark: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, mark)
}

export async function forgetMark(file: string): Promise<void> {
  await rm(file, { force: true })
}

/** Kills the OpenCode of an earlier runner with all that its tools left running. */
export async function killLeftOver(file: string, log: Log): Promise<void> {
  const mark = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return ""
    throw error
  })
  if (mark === "") return
  const pids = markedProcesses(mark)
  if (pids.length > 0) log("an earlier agent was still running and is killed", { pids })
  await killMarked(mark)
  await forgetMark(file)
}
