import { fileURLToPath } from "node:url"
import { gitIn, gitOutput } from "./git.ts"

type GitHome = {
  directory: string
  repoUrl: string
  environment: NodeJS.ProcessEnv
  signal: AbortSignal
}

const IDENTITY = { "user.name": "Agent Ops", "user.email": "agent@agent-ops.invalid" }

/**
 * Settings in the sandbox user's own git configuration: files that another user id owns (restored workspaces, local
 * repositories) are trusted, and commits have an author unless one is set already.
 */
export async function prepareGitHome(options: GitHome): Promise<void> {
  const { directory, repoUrl, environment, signal } = options
  const git = gitIn(directory, environment)
  const known = await git(["config", "--global", "--get-all", "safe.directory"], { signal })
  const trusted = new Set(known.stdout.toString().split("\n"))
  for (const path of [directory, ...localPaths(repoUrl)]) {
    if (trusted.has(path)) continue
    await gitOutput(git, ["config", "--global", "--add", "safe.directory", path], { signal })
  }
  for (const [key, value] of Object.entries(IDENTITY)) {
    const { code } = await git(["config", "--get", key], { signal })
    if (code !== 0) await gitOutput(git, ["config", "--global", key, value], { signal })
  }
}

function localPaths(repoUrl: string): string[] {
  const url = URL.parse(repoUrl)
  if (url?.protocol !== "file:") return []
  const path = fileURLToPath(url).replace(/\/+$/, "")
  return [path, `${path}/.git`]
}
