import { readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { signal } from "../../dev/stack/leftovers.ts"
import { HOME_PREFIX } from "./fault-stack.ts"
import { killAtOnce, processesOf } from "./processes.ts"

/** Ends what an earlier run left behind when it was itself killed. Runs that are still alive are left alone. */
export async function setup(): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    const [, owner] = new RegExp(`^${HOME_PREFIX}(\\d+)-`).exec(name) ?? []
    if (owner === undefined || signal(Number(owner), 0)) continue
    const home = join(tmpdir(), name)
    await killAtOnce(() => processesOf(home).map(({ pid }) => pid))
    rmSync(home, { recursive: true, force: true })
  }
}
