import { spawn } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import type { TestKeys } from "../../integration/start-rooms.ts"
import { readyUrl } from "./plain-relay.ts"

/** The server that our rooms post to, in a process of its own as in life: what it parses is not the viewers' time. */
export async function startStub(
  keys: TestKeys,
): Promise<{ url: string; close: () => Promise<void> }> {
  const script = join(import.meta.dirname, "posted-to.server.ts")
  const child = spawn(process.execPath, [script, JSON.stringify(keys)], {
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  })
  return {
    url: await readyUrl(child),
    close: async () => {
      if (child.pid) process.kill(-child.pid, "SIGKILL")
      await once(child, "exit")
    },
  }
}
