import { mkdir, readdir, rm, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Failed } from "../failed.ts"
import { cloneFailure, withoutPassword } from "./clone-failure.ts"
import { cloneProgress } from "./clone-progress.ts"
import { type Git, gitIn, gitOutput } from "./git.ts"
import { prepareGitHome } from "./git-home.ts"
import { isCheckout } from "./gone.ts"
import { lfsSettings } from "./lfs.ts"
import { headBranch, headOrEmptyTree, startingPoint } from "./starting-point.ts"

export type CloneOptions = {
  repoUrl: string
  /** A branch or a tag; null for the repository's default branch. */
  branch: string | null
  sessionId: string
  directory: string
  stateDirectory: string
  environment: NodeJS.ProcessEnv
  signal: AbortSignal
  onProgress: (detail: string) => void
}

export type Checkout = {
  directory: string
  /** What all changes of the session are measured against: a commit, or the empty tree of an empty repository. */
  baseCommit: string
  /** The branch or tag that the work starts from; null where it starts on none. */
  branch: string | null
  /**
   * The local branch that the agent works on, so that the repository's own stays as it was cloned; null once the agent
   * has left it for a commit.
   */
  workingBranch: string | null
}

/** Where the checkout remembers its base. Written last: a checkout that has it is whole. */
const BASE_KEY = "agentops.base"
const BRANCH_KEY = "agentops.branch"

/**
 * Brings the repository into `directory` with its whole history, or takes up the checkout that is there, with all the
 * work in it. Throws Failed with a reason people can act on.
 */
export async function prepareCheckout(options: CloneOptions): Promise<Checkout> {
  const { directory, repoUrl, environment, signal } = options
  requireKnownScheme(repoUrl)
  await mkdir(directory, { recursive: true })
  await prepareGitHome({ directory, repoUrl, environment, signal })
  const git = gitIn(directory, environment)
  if (await isEmptied(options)) await clone(git, options)
  else if (!(await isCheckout(git))) {
    throw new Failed(
      "workspace-not-empty",
      `The workspace holds files that are not a Git checkout, so ${withoutPassword(repoUrl)} cannot be cloned into it. Start a new session.`,
    )
  }
  return describeCheckout(git, options)
}

function requireKnownScheme(repoUrl: string): void {
  const url = URL.parse(repoUrl)
  if (url?.protocol === "https:" || url?.protocol === "http:") return
  if (url?.protocol === "file:" && url.host === "") return
  throw new Failed(
    "repository-not-supported",
    `“${withoutPassword(repoUrl)}” is not an address that sandboxes can clone. Use an https:// address.`,
  )
}

/** True when there is nothing in the way of cloning, after removing what an interrupted clone left. */
async function isEmptied({ directory, stateDirectory }: CloneOptions): Promise<boolean> {
  const names = await readdir(directory)
  if (names.length === 0) return true
  const interrupted = await stat(markerOf(stateDirectory)).then(
    () => true,
    () => false,
  )
  if (!interrupted) return false
  for (const name of names) await rm(join(directory, name), { recursive: true, force: true })
  return true
}

const markerOf = (stateDirectory: string) => join(stateDirectory, "clone-under-way")

async function clone(git: Git, options: CloneOptions): Promise<void> {
  const { repoUrl, branch, stateDirectory, signal, onProgress } = options
  await writeFile(markerOf(stateDirectory), "")
  // The whole history comes along: agents read logs and blame, and a clone that fetches blobs later needs the remote
  // for as long as it lives.
  const args = [
    // A renamed repository redirects the first request; what comes later goes where that one led.
    ...["-c", "http.followRedirects=initial"],
    "clone",
    ...(await lfsSettings(git)),
    "--progress",
    "--no-recurse-submodules",
    "--template=",
    ...(branch === null ? [] : [`--branch=${branch}`]),
    "--",
    repoUrl,
    ".",
  ]
  const progress = cloneProgress(onProgress, () => performance.now())
  const environment = { GIT_ALLOW_PROTOCOL: waysTo(repoUrl) }
  const { code, stderr } = await git(args, { signal, environment, onStderr: progress })
  if (code !== 0) throw cloneFailure(stderr, options)
  await startWork(git, options)
  await rm(markerOf(stateDirectory), { force: true })
}

/** A redirect may not lead to a weaker way than the address asked for, nor to a file. */
function waysTo(repoUrl: string): string {
  const scheme = URL.parse(repoUrl)?.protocol.slice(0, -1) ?? ""
  return scheme === "http" ? "http:https" : scheme
}

async function startWork(git: Git, options: CloneOptions): Promise<void> {
  const { baseCommit, branch } = await startingPoint(git, options)
  await gitOutput(git, ["checkout", "--quiet", "-B", workingBranchOf(options.sessionId)])
  await gitOutput(git, ["config", BRANCH_KEY, branch ?? ""])
  await gitOutput(git, ["config", BASE_KEY, baseCommit])
}

async function describeCheckout(git: Git, { directory, branch }: CloneOptions): Promise<Checkout> {
  const setting = async (key: string) => {
    const { code, stdout } = await git(["config", "--get", key])
    return code === 0 ? stdout.toString().trim() : null
  }
  const kept = await setting(BRANCH_KEY)
  return {
    directory,
    baseCommit: (await setting(BASE_KEY)) || (await headOrEmptyTree(git)),
    branch: kept === null ? branch : kept || null,
    workingBranch: await headBranch(git),
  }
}

const SHORT_ID_CHARS = 8

/** Short enough to read; random enough that two sessions of one repository do not meet. */
function workingBranchOf(sessionId: string): string {
  return `agent-ops/${sessionId.slice(-SHORT_ID_CHARS)}`
}
