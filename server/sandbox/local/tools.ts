import { delimiter, join, resolve } from "node:path"
import { SandboxError, type SandboxReason } from "../provider.ts"
import { isExecutable, isReadable } from "./access.ts"

export type Tools = { bun: string; opencode: string; runner: string }

export type ToolOptions = {
  /** The installed project, whose node_modules hold the platform's binaries. */
  installDirectory: string
  /** Directories searched after it, as in PATH. */
  path: string
  /** The runner's bundle. */
  runner: string
  /** The OpenCode program instead of the installed one. */
  opencode?: string | undefined
}

const BUN_PACKAGES: Partial<Record<string, string>> = {
  "linux-x64": "@oven/bun-linux-x64",
  "linux-arm64": "@oven/bun-linux-aarch64",
  "darwin-arm64": "@oven/bun-darwin-aarch64",
  "darwin-x64": "@oven/bun-darwin-x64",
}

/** Paths of what a sandbox runs; a missing one is named with the way to get it. */
export function findTools(options: ToolOptions): Tools {
  const { runner } = options
  if (!isReadable(runner)) {
    throw new SandboxError(
      "runner-missing",
      `The runner's bundle ${runner} is missing. Build it with \`npm run runner:build\`, then try again.`,
    )
  }
  return { runner, ...findPrograms(options) }
}

/** Like {@link findTools}, of what is installed and not built. */
export function findPrograms({
  installDirectory,
  path,
  opencode,
}: Omit<ToolOptions, "runner">): Omit<Tools, "runner"> {
  const platform = `${process.platform}-${process.arch}`
  const find = (packageName: string | undefined, name: string, reason: SandboxReason) => {
    const places = packageName ? [join(installDirectory, "node_modules", packageName, "bin")] : []
    for (const place of [...places, ...path.split(delimiter).filter(Boolean)]) {
      if (isExecutable(join(place, name))) return join(place, name)
    }
    throw new SandboxError(
      reason,
      `Sandboxes need ${name}, which is neither installed here nor on PATH. Run \`npm install\`, then try again.`,
    )
  }
  if (opencode && !isExecutable(opencode)) {
    throw new SandboxError(
      "agent-missing",
      `OPENCODE_BIN names ${opencode}, which is no program that can be run here. Correct it, or leave it out to use the installed OpenCode.`,
    )
  }
  return {
    bun: find(BUN_PACKAGES[platform], "bun", "bun-missing"),
    opencode: opencode
      ? resolve(opencode)
      : find(`opencode-${platform}`, "opencode", "agent-missing"),
  }
}
