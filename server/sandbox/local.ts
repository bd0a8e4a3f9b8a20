import { rm } from "node:fs/promises"
import { delimiter, dirname, join } from "node:path"
import { createSandbox } from "./local/create-sandbox.ts"
import { sandboxDirectory } from "./local/directory.ts"
import { readHandle } from "./local/handle.ts"
import { listSandboxes } from "./local/list-sandboxes.ts"
import { isAlive } from "./local/process-table.ts"
import { findPrlimit } from "./local/realtime-tag.ts"
import type { LocalOptions, LocalSettings } from "./local/settings.ts"
import { stopSandbox, terminateSandbox } from "./local/terminate-sandbox.ts"
import { findPrograms } from "./local/tools.ts"
import { parseSandboxId, type SandboxProvider } from "./provider.ts"

/** A bundled server has lost where this file lies; it runs in the root of the installation. */
function installedAt(): string {
  return import.meta.dirname ? join(import.meta.dirname, "../..") : process.cwd()
}

const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

const installation = () => ({
  installDirectory: installedAt(),
  path: `${dirname(process.execPath)}${delimiter}${SYSTEM_PATH}`,
})

/** Throws a SandboxError, which says what to do, when local sandboxes lack a program. */
export function assertPrograms(opencode: string | undefined): void {
  findPrograms({ ...installation(), opencode })
}

export type LocalProvider = SandboxProvider & {
  /** Ends every sandbox because the platform stops, so that the next start can tell this from a loss. */
  stopAll(): Promise<void>
}

/**
 * Sandboxes as plain processes of this machine, for laptops and tests: separated by directory and environment, not
 * isolated from the person who runs them. They outlive this process; what is known of them stands in their directory.
 */
export function localProvider(options: LocalOptions): LocalProvider {
  const places = installation()
  const settings: LocalSettings = {
    ...places,
    runner: join(places.installDirectory, ".out/runner.js"),
    prlimit: findPrlimit(),
    graceMs: 5_000,
    ...options,
  }
  const directoryOf = (sessionId: string) => sandboxDirectory(settings.home, sessionId)
  return {
    name: "local",
    create: (spec, { signal }) => createSandbox(spec, settings, signal),
    terminate: (id) => terminateSandbox(settings, id),
    list: () => listSandboxes(settings.home),
    async status(id) {
      const session = parseSandboxId(id)
      const handle = session && (await readHandle(directoryOf(session.sessionId).handle))
      if (handle?.id !== id || !handle.leader) return "gone"
      if (handle.state === "stopped") return "stopped"
      return (await isAlive(handle.leader)) ? "running" : "gone"
    },
    async stopAll() {
      const listed = await listSandboxes(settings.home)
      const ends = await Promise.allSettled(listed.map(({ id }) => stopSandbox(settings, id)))
      const failures = ends.flatMap((end) => (end.status === "rejected" ? [end.reason] : []))
      if (failures.length > 0) throw new AggregateError(failures, "Some sandboxes did not end")
    },
    async forget(sessionId) {
      const { root, handle } = directoryOf(sessionId)
      const last = await readHandle(handle)
      if (last) await terminateSandbox(settings, last.id)
      await rm(root, { recursive: true, force: true, maxRetries: 3 })
    },
  }
}
