import { dirname } from "node:path"
import { parseSandboxId, SandboxError } from "../provider.ts"
import { explainDiskError } from "../system-error.ts"
import { sandboxDirectory } from "./directory.ts"
import { endMembers } from "./end-members.ts"
import { markerOf } from "./environment.ts"
import { changeHandle, type Handle, readHandle, removeHandle } from "./handle.ts"
import { isAlive } from "./process-table.ts"

type Settings = { home: string; graceMs: number }

export async function terminateSandbox(settings: Settings, id: string): Promise<void> {
  const ended = await endSandbox(settings, id)
  if (ended) await removeHandle(ended.path, ended.nonce)
}

/** Ends a sandbox because the platform stops. Of one that ran until now its handle keeps that, for the next start. */
export async function stopSandbox(settings: Settings, id: string): Promise<void> {
  const ended = await endSandbox(settings, id)
  if (!ended) return
  const { path, nonce, ran } = ended
  const isNoted = ran && (await tryChange(path, { nonce, state: "ending" }, { state: "stopped" }))
  if (!isNoted) await removeHandle(path, nonce)
}

type Ended = { path: string; nonce: string; ran: boolean }

/** Ends whatever runs of it; null for one that has no handle. */
async function endSandbox({ home, graceMs }: Settings, id: string): Promise<Ended | null> {
  const session = parseSandboxId(id)
  if (!session) return null
  const directory = sandboxDirectory(home, session.sessionId)
  const newest = await readHandle(directory.handle)
  const handle = newest?.id === id ? newest : null
  const ran =
    handle?.state === "running" && handle.leader !== null && (await isAlive(handle.leader))
  // Tells a create that is still under way that it must not go on.
  if (handle) await tryChange(directory.handle, handle, { state: "ending" })
  const sandbox = {
    marker: markerOf(id),
    realtimeTag: handle?.realtimeTag ?? null,
    leader: handle?.leader ?? null,
    // The directory belongs to the newest generation; an older one may not claim who stands in it.
    directory: handle ? directory.root : null,
  }
  await endMembers(sandbox, graceMs)
  return handle && { path: directory.handle, nonce: handle.nonce, ran }
}

/** A full disk must not keep a sandbox alive: the handle is then left as it is, and removed in the end. */
async function tryChange(
  path: string,
  expected: Pick<Handle, "nonce" | "state">,
  change: Pick<Handle, "state">,
): Promise<boolean> {
  try {
    return await changeHandle(path, expected, change)
  } catch (error) {
    if (!(explainDiskError(error, dirname(path)) instanceof SandboxError)) throw error
    return false
  }
}
