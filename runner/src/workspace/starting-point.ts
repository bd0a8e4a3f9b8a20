import { Failed, shownName } from "../failed.ts"
import { withoutPassword } from "./clone-failure.ts"
import { type Git, gitOutput } from "./git.ts"

/** Where the work of a fresh clone starts. */
export type StartingPoint = {
  /** A commit, or the empty tree of an empty repository. */
  baseCommit: string
  /** Null where the work starts on no branch: in an empty repository, or where the repository's HEAD is a commit. */
  branch: string | null
}

type Wish = { repoUrl: string; branch: string | null; signal: AbortSignal }

/**
 * What is checked out, or the only branch of a repository whose HEAD names none of its own, which is then checked out.
 * Throws Failed when several could be meant.
 */
export async function startingPoint(git: Git, wish: Wish): Promise<StartingPoint> {
  const commit = await headCommit(git)
  if (commit !== null) return { baseCommit: commit, branch: wish.branch ?? (await headBranch(git)) }
  const branches = await names(git, "refs/remotes/origin")
  const [only] = branches
  if (only === undefined) return emptyStart(git, wish)
  if (branches.length > 1) {
    throw new Failed(
      "default-branch-missing",
      `${withoutPassword(wish.repoUrl)} has no default branch: its HEAD names one that does not exist. Start a session on one of its branches: ${listed(branches)}.`,
    )
  }
  const { signal } = wish
  await gitOutput(git, ["checkout", "--quiet", "-B", only, `refs/remotes/origin/${only}`], {
    signal,
  })
  return { baseCommit: await headOrEmptyTree(git), branch: only }
}

/** The commit checked out, or the empty tree where there is no commit yet. */
export async function headOrEmptyTree(git: Git): Promise<string> {
  return (await headCommit(git)) ?? gitOutput(git, ["hash-object", "-t", "tree", "--stdin"])
}

/** The branch checked out; null for a detached HEAD. */
export async function headBranch(git: Git): Promise<string | null> {
  const { stdout } = await git(["symbolic-ref", "--short", "--quiet", "HEAD"])
  return stdout.toString().trim() || null
}

async function emptyStart(git: Git, { repoUrl }: Wish): Promise<StartingPoint> {
  const tags = await names(git, "refs/tags")
  if (tags.length === 0) return { baseCommit: await headOrEmptyTree(git), branch: null }
  throw new Failed(
    "default-branch-missing",
    `${withoutPassword(repoUrl)} has no branch, only tags. Push a branch, or start a session on one of the tags: ${listed(tags)}.`,
  )
}

async function headCommit(git: Git): Promise<string | null> {
  const { code, stdout } = await git(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])
  return code === 0 ? stdout.toString().trim() : null
}

/** Names of the refs below `prefix`, which has two parts or three; the youngest commit's first. */
async function names(git: Git, prefix: "refs/remotes/origin" | "refs/tags"): Promise<string[]> {
  const format = `--format=%(refname:lstrip=${prefix.split("/").length})`
  const text = await gitOutput(git, ["for-each-ref", "--sort=-creatordate", format, prefix])
  return text.split("\n").filter(Boolean)
}

const MAX_LISTED = 5

function listed(all: string[]): string {
  const shown = all.slice(0, MAX_LISTED).map((name) => `“${shownName(name)}”`)
  const more = all.length - shown.length
  return shown.join(", ") + (more > 0 ? ` and ${more} more` : "")
}
