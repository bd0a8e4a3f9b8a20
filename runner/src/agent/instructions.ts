import { access } from "node:fs/promises"
import { join } from "node:path"

const guidanceFiles = ["AGENTS.md", "CLAUDE.md", "CONTEXT.md"]

/**
 * The repository's guidance for agents: the first of the names OpenCode looks for. It has to be named because switching
 * off a repository's configuration switches off its guidance too.
 */
export async function findInstructions(directory: string): Promise<string[]> {
  for (const name of guidanceFiles) {
    const path = join(directory, name)
    const found = await access(path).then(
      () => true,
      () => false,
    )
    if (found) return [path]
  }
  return []
}
