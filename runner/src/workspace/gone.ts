import { stat } from "node:fs/promises"
import { Failed } from "../failed.ts"
import type { Git } from "./git.ts"

const NEXT = "Ask the agent to bring it back, or start a new session."

export const workspaceGone = () =>
  new Failed("workspace-gone", `The workspace's folder is gone from the sandbox. ${NEXT}`)

const repositoryGone = () =>
  new Failed(
    "repository-gone",
    `The workspace is no Git repository any more: its .git was removed or broken. ${NEXT}`,
  )

/** What is gone of a workspace that could not be read, or null when it is there. */
export async function whatIsGone(git: Git, directory: string): Promise<Failed | null> {
  if (!(await isFolder(directory))) return workspaceGone()
  return (await isCheckout(git)) ? null : repositoryGone()
}

export function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}

/** Whether git runs in the root of a checkout. */
export async function isCheckout(git: Git): Promise<boolean> {
  const { code, stdout } = await git(["rev-parse", "--show-cdup"])
  return code === 0 && stdout.toString().trim() === ""
}
