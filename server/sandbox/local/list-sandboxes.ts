import { join, sep } from "node:path"
import type { SandboxListing } from "../provider.ts"
import { listDirectories, sandboxDirectory } from "./directory.ts"
import { MARKER_NAME } from "./environment.ts"
import { readHandle } from "./handle.ts"
import { boundLog } from "./log-file.ts"
import { type Process, readProcesses } from "./process-table.ts"

/** By the handles, and by the processes themselves in case a handle was lost. Bounds the logs on its way. */
export async function listSandboxes(home: string): Promise<SandboxListing[]> {
  const ages = new Map<string, number>()
  for (const id of sandboxesOf(await readProcesses(), home)) ages.set(id, 0)
  for (const sessionId of await listDirectories(home)) {
    const directory = sandboxDirectory(home, sessionId)
    await boundLog(directory.log)
    const handle = await readHandle(directory.handle)
    if (!handle || handle.state === "stopped") continue
    ages.set(handle.id, Math.max(0, Date.now() - handle.createdAtMs))
  }
  return [...ages].map(([id, ageMs]) => ({ id, ageMs }))
}

function sandboxesOf(processes: readonly Process[], home: string): string[] {
  const stateInHome = `AGENT_OPS_STATE_DIR=${join(home, "sandboxes")}${sep}`
  const marker = `${MARKER_NAME}=`
  return processes
    .filter(({ environment }) => environment.some((line) => line.startsWith(stateInHome)))
    .flatMap(({ environment }) => environment.filter((line) => line.startsWith(marker)))
    .map((line) => line.slice(marker.length))
}
