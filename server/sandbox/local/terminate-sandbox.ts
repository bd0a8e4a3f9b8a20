import { parseSandboxId, SandboxError } from "../provider.ts"
import { explainDiskError } from "../system-error.ts"
import { sandboxDirectory } from "./directory.ts"
import { endMembers } from "./end-members.ts"
import { markerOf } from "./environment.ts"
import { changeHandle, type Handle, readHandle, removeHandle } from "./handle.ts"

export async function terminateSandbox(
  { home, graceMs }: { home: string; graceMs: number },
  id: string,
): Promise<void> {
  const session = parseSandboxId(id)
  if (!session) return
  const directory = sandboxDirectory(home, session.sessionId)
  const newest = await readHandle(directory.handle)
  const handle = newest?.id === id ? newest : null
  if (handle) await markEnding(directory.handle, handle, directory.root)
  const sandbox = {
    marker: markerOf(id),
    realtimeTag: handle?.realtimeTag ?? null,
    leader: handle?.leader ?? null,
    // The directory belongs to the newest generation; an older one may not claim who stands in it.
    directory: handle ? directory.root : null,
  }
  await endMembers(sandbox, graceMs)
  if (handle) await removeHandle(directory.handle, handle.nonce)
}

/** Tells a create that is still under way that it must not go on. */
async function markEnding(path: string, handle: Handle, directory: string): Promise<void> {
  try {
    await changeHandle(path, handle, { state: "ending" })
  } catch (error) {
    // A full disk must not keep a sandbox alive; the create finds its handle removed instead.
    if (!(explainDiskError(error, directory) instanceof SandboxError)) throw error
  }
}
