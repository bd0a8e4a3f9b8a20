import type { Diff } from "#protocol/work"
import type { Workspace } from "../prompt/ports.ts"
import type { Checkout } from "./clone.ts"
import { diffAgainstBase } from "./diff.ts"
import { type FileContent, readWorkspaceFile } from "./file.ts"

export type OpenWorkspace = Workspace & {
  /** Rejects with Failed for what is no file of the checkout. */
  file(path: string): Promise<FileContent>
}

/** The checkout as the prompt loop and the room's questions see it. */
export function openWorkspace(checkout: Checkout, environment: NodeJS.ProcessEnv): OpenWorkspace {
  const { directory, baseCommit } = checkout
  let running: Promise<Diff> | null = null
  let next: Promise<Diff> | null = null

  // Whoever asks while a comparison runs shares the one that begins after it, so that the answer is never older than
  // the question.
  const changes = (): Promise<Diff> => {
    if (running) {
      next ??= running.then(compare, compare)
      return next
    }
    return compare()
  }

  const compare = (): Promise<Diff> => {
    next = null
    const diff = diffAgainstBase({ directory, baseCommit, environment }).finally(() => {
      if (running === diff) running = null
    })
    running = diff
    return diff
  }

  return { directory, changes, file: (path) => readWorkspaceFile(directory, path) }
}
