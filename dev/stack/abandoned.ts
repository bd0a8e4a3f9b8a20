import { existsSync, globSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { localProvider } from "../../server/sandbox/local.ts"
import { clusterFiles } from "../postgres/cluster-files.ts"
import { findRunningServer } from "../postgres/running-server.ts"
import { stopServer } from "../postgres/stop.ts"
import { endLeftovers } from "./leftovers.ts"
import { holderOf } from "./lock-home.ts"

/**
 * Ends and removes private stacks whose owner was killed: nobody will ever start in their homes again, so no start
 * would find what they left running. Homes begin with `prefix` in the directory for temporary files.
 */
export async function removeAbandonedStacks(prefix: string): Promise<void> {
  for (const name of globSync(`${prefix}*`, { cwd: tmpdir() })) {
    const home = join(tmpdir(), name)
    // A stack that was stopped has given its lock back; what it kept is kept on purpose.
    if (!existsSync(join(home, "stack.lock")) || holderOf(home) !== null) continue
    await endLeftovers(home)
    const sandboxes = localProvider({ home })
    for (const { id } of await sandboxes.list()) await sandboxes.terminate(id)
    const files = clusterFiles(join(home, "postgres"))
    const server = findRunningServer(files)
    if (server) await stopServer(files, server.pid)
    rmSync(home, { recursive: true, force: true })
  }
}
