import { copyFile, mkdir, mkdtemp, rm, stat, utimes } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import type { Diff } from "#protocol/work"
import { Failed, withoutPaths } from "../failed.ts"
import { type Git, type GitOptions, gitIn, gitInput, gitOutput, gitRecords } from "./git.ts"
import { whatIsGone } from "./gone.ts"
import { type ParsedFile, parseDiff } from "./parse-diff.ts"

/** A longer patch is left out. */
const MAX_PATCH_BYTES = 256 * 1024

/** Characters of the whole diff's JSON. */
const MAX_DIFF_CHARS = 800 * 1024

/** Output of git that is read at all; reading more would only cost memory, since the patches are left out. */
const MAX_OUTPUT_BYTES = 24 * 1024 * 1024

/** Untracked files looked at. More means that a dependency folder is not ignored. */
const MAX_UNTRACKED_FILES = 5_000

const DEADLINE_MS = 60_000

/** Settings that a repository or person may have changed and that would change the output's form. */
const SETTINGS = [
  "core.quotepath=off",
  "core.bigFileThreshold=8m",
  "core.splitIndex=false",
  "diff.relative=false",
  "diff.renameLimit=2000",
  "diff.suppressBlankEmpty=false",
  "advice.addEmbeddedRepo=false",
].flatMap((setting) => ["-c", setting])

const DIFF = [
  "diff",
  "--raw",
  "--numstat",
  "--patch",
  "-z",
  "--find-renames",
  "--unified=3",
  "--no-color",
  "--no-ext-diff",
  "--no-textconv",
  "--no-indent-heuristic",
  "-O/dev/null",
  "--submodule=short",
  "--ignore-submodules=none",
  "--src-prefix=a/",
  "--dst-prefix=b/",
]

export type DiffOptions = {
  directory: string
  baseCommit: string
  environment: NodeJS.ProcessEnv
}

/**
 * Everything in the checkout that differs from `baseCommit`, committed or not, untracked files included, ignored ones
 * not. The checkout's own index stays untouched. Throws Failed.
 */
export async function diffAgainstBase({
  directory,
  baseCommit,
  environment,
}: DiffOptions): Promise<Diff> {
  const scratch = await mkdtemp(join(tmpdir(), "agent-ops-diff-"))
  const signal = AbortSignal.timeout(DEADLINE_MS)
  const plain = gitIn(directory, environment)
  try {
    const git = await scratchGit(plain, { directory, scratch, signal })
    await settleConflicts(git)
    const allListed = await listUntracked(git)
    const { code, stdout, stderr, cut } = await git([...DIFF, baseCommit, "--"], {
      maxOutputBytes: MAX_OUTPUT_BYTES,
    })
    if (code !== 0 && !cut) throw new Error(stderr.trim())
    return fitted(baseCommit, parseDiff(stdout, cut), allListed)
  } catch (error) {
    throw signal.aborted ? tooSlow(error) : await explained(error, plain, directory)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

type Scratch = { directory: string; scratch: string; signal: AbortSignal }

/** Git with a copy of the checkout's index and a place of its own for new objects. */
async function scratchGit(plain: Git, { directory, scratch, signal }: Scratch): Promise<Git> {
  const paths = await gitOutput(plain, [
    "rev-parse",
    "--git-path",
    "index",
    "--git-path",
    "objects",
  ])
  const [index = "", objects = ""] = paths.split("\n").map((path) => resolve(directory, path))
  await mkdir(join(scratch, "objects"))
  await copyIndex(index, join(scratch, "index"))
  const environment = {
    GIT_INDEX_FILE: join(scratch, "index"),
    GIT_OBJECT_DIRECTORY: join(scratch, "objects"),
    GIT_ALTERNATE_OBJECT_DIRECTORIES: objects,
  }
  return (args: string[], options?: GitOptions) =>
    plain([...SETTINGS, ...args], { ...options, environment, signal })
}

/**
 * The copy keeps the index's time, rounded down: git distrusts what it recorded of a file only when the file is not
 * older than the index.
 */
async function copyIndex(from: string, to: string): Promise<void> {
  // A repository in which nothing was ever added has no index.
  const found = await stat(from).catch(() => null)
  if (!found) return
  await copyFile(from, to)
  await utimes(to, found.atime, found.mtime)
}

/** A file in conflict has no single version in the index, so the one in the checkout is taken. */
async function settleConflicts(git: Git): Promise<void> {
  const unmerged = await gitRecords(git, ["ls-files", "--unmerged", "-z"])
  const paths = new Set(unmerged.map((record) => record.slice(record.indexOf("\t") + 1)))
  if (paths.size === 0) return
  const input = gitInput([...paths])
  await gitOutput(git, ["update-index", "--add", "--remove", "-z", "--stdin"], { input })
}

/**
 * Makes untracked files part of the diff without reading them yet; one that goes away meanwhile does no harm. False
 * when there are too many.
 */
async function listUntracked(git: Git): Promise<boolean> {
  const paths = await gitRecords(git, ["ls-files", "--others", "--exclude-standard", "-z"])
  const files = paths.filter((path) => !path.endsWith("/"))
  const listed = files.slice(0, MAX_UNTRACKED_FILES)
  if (listed.length > 0) {
    const empty = await gitOutput(git, ["hash-object", "-t", "blob", "--stdin"])
    const input = gitInput(listed.map((path) => `100644 ${empty}\t${path}`))
    await gitOutput(git, ["update-index", "-z", "--index-info"], { input })
  }
  // A repository inside the checkout is shown as the commit it stands at; one without a commit cannot be.
  const repositories = paths.filter((path) => path.endsWith("/")).slice(0, 100)
  const add = ["add", "--intent-to-add", "--pathspec-from-file=-", "--pathspec-file-nul"]
  for (const path of repositories) await git(add, { input: gitInput([path]) })
  return listed.length === files.length
}

/** Every file's name and counts come before anybody's patch; patches that no longer fit are left out. */
function fitted(base: string, parsed: ParsedFile[], allListed: boolean): Diff {
  const diff: Diff = { base, files: [], truncated: !allListed }
  let chars = JSON.stringify(diff).length
  const patches: (Buffer | null)[] = []
  for (const { patch, ...file } of parsed) {
    chars += JSON.stringify(file).length + '"patch":"",'.length + 1
    if (chars > MAX_DIFF_CHARS) {
      diff.truncated = true
      break
    }
    diff.files.push({ ...file, patch: "" })
    patches.push(file.binary ? Buffer.alloc(0) : patch)
  }
  for (const [index, file] of diff.files.entries()) {
    const patch = patches[index]
    const text = patch && patch.length <= MAX_PATCH_BYTES ? patch.toString("utf8") : null
    const length = text === null ? Number.POSITIVE_INFINITY : JSON.stringify(text).length
    if (text !== null && chars + length <= MAX_DIFF_CHARS) {
      file.patch = text
      chars += length
    } else diff.truncated = true
  }
  return diff
}

function tooSlow(cause: unknown): Failed {
  const message =
    "The changes took more than a minute to compare. Remove or ignore large generated folders, then reload."
  return new Failed("diff-too-slow", message, { cause })
}

async function explained(cause: unknown, git: Git, directory: string): Promise<Failed> {
  const gone = await whatIsGone(git, directory).catch(() => null)
  if (gone) return gone
  const said = withoutPaths(cause instanceof Error ? cause.message : String(cause))
  const message = `The changes could not be compared with the start of the session. Git said: ${said.slice(0, 300)}. Ask the agent whether the repository is still whole, or start a new session.`
  return new Failed("diff-failed", message, { cause })
}
