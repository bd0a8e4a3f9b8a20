import { createHash } from "node:crypto"
import { existsSync, globSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { withNamedLock } from "../named-lock.ts"
import { runCommand } from "../run-command.ts"

export const ROOT = fileURLToPath(new URL("../..", import.meta.url))

const BUILD_DEADLINE_MS = 5 * 60_000
const WEB_SOURCES = [
  "app/**/*.{ts,tsx,css}",
  "server/**/*.ts",
  "party/protocol/*.ts",
  "prisma/schema.prisma",
  "instrumentation.ts",
  "next.config.ts",
  "{,app/}tsconfig.json",
  "package.json",
  "package-lock.json",
]

/** Builds what a stack runs and what has changed since: the runner's bundle and, for production, the web app. */
export async function buildAll(
  parts: { web: boolean },
  say: (line: string) => void,
): Promise<void> {
  await withBuildLock(async () => {
    if (isOlder("prisma/generated/client.ts", "prisma/schema.prisma")) await npm("generate")
    await npm("runner:build")
    if (!parts.web) return
    const wanted = hashOf(WEB_SOURCES)
    if (builtHash() === wanted) return
    say("Building the web app for production (once per change)…")
    await npm("build")
    writeFileSync(STAMP, wanted)
  })
}

/** Whether the file that is made from another is missing, or from before that one's last change. */
function isOlder(made: string, source: string): boolean {
  const madeAt = statSync(join(ROOT, made), { throwIfNoEntry: false })?.mtimeMs ?? 0
  return madeAt < statSync(join(ROOT, source)).mtimeMs
}

const STAMP = join(ROOT, ".next/agent-ops-sources")

function builtHash(): string | null {
  return existsSync(STAMP) && existsSync(join(ROOT, ".next/BUILD_ID"))
    ? readFileSync(STAMP, "utf8")
    : null
}

function hashOf(patterns: string[]): string {
  const hash = createHash("sha256")
  for (const file of globSync(patterns, { cwd: ROOT }).sort()) {
    if (file.endsWith(".test.ts")) continue
    hash
      .update(file)
      .update("\0")
      .update(readFileSync(join(ROOT, file)))
      .update("\0")
  }
  return hash.digest("hex")
}

async function npm(script: string): Promise<void> {
  const done = await runCommand(["npm", "run", "--silent", script], {
    deadlineMs: BUILD_DEADLINE_MS,
    capture: true,
    env: { NEXT_TELEMETRY_DISABLED: "1" },
  })
  if (!done.ok) throw new Error(`npm run ${script} ${done.reason}:\n${done.output}`)
}

/** Stacks that start together share one build. */
function withBuildLock(build: () => Promise<void>): Promise<void> {
  const { dev, ino } = statSync(ROOT)
  const late = () =>
    new Error(`Another build in ${ROOT} has not ended for ${BUILD_DEADLINE_MS / 1000} s.`)
  return withNamedLock(
    `agent-ops-build:${dev}:${ino}`,
    { deadlineMs: BUILD_DEADLINE_MS, late },
    build,
  )
}
