import { Failed, shownName } from "../failed.ts"

type Source = { repoUrl: string; branch: string | null }

type Explanation = {
  pattern: RegExp
  reason: string
  message: (source: { repository: string; branch: string }) => string
}

const EXPLANATIONS: Explanation[] = [
  {
    pattern: /No space left on device|Disk quota exceeded/,
    reason: "disk-full",
    message: ({ repository }) =>
      `${repository} does not fit on the sandbox's disk. Use a smaller repository or a larger sandbox.`,
  },
  {
    pattern: /Remote branch .* not found in upstream/,
    reason: "branch-not-found",
    message: ({ repository, branch }) =>
      `${repository} has no branch or tag “${branch}”. Check its name: push the branch, or start a session on one that exists.`,
  },
  {
    pattern:
      /could not read (Username|Password)|Authentication failed|terminal prompts disabled|returned error: 40[13]/,
    reason: "repository-private",
    message: ({ repository }) =>
      `${repository} is private or does not exist: it asked for a sign-in. Connect an account that may read it, or check the address.`,
  },
  {
    pattern:
      /not found|does not exist|does not appear to be a git repository|is this a git repository|returned error: 404/,
    reason: "repository-not-found",
    message: ({ repository }) =>
      `There is no Git repository at ${repository}. Check the address for a typing mistake.`,
  },
  {
    pattern: /Protocol .*(not supported|disabled)/,
    reason: "repository-redirected",
    message: ({ repository }) =>
      `${repository} leads to an unencrypted address or to something that is no web address, which is not followed. Use the https:// address where it lives.`,
  },
  {
    pattern:
      /Could not resolve host|Failed to connect|Connection (refused|reset|timed out)|unable to access|early EOF|hung up|RPC failed|SSL|returned error: 5\d\d/,
    reason: "repository-unreachable",
    message: ({ repository }) =>
      `${repository} could not be reached from the sandbox. Try again; if it stays so, check that its host is up and open to the sandbox.`,
  },
]

/** Says why a clone failed, from what git wrote. */
export function cloneFailure(stderr: string, { repoUrl, branch }: Source): Failed {
  const repository = withoutPassword(repoUrl)
  const found = EXPLANATIONS.find(({ pattern }) => pattern.test(stderr))
  if (found) {
    return new Failed(found.reason, found.message({ repository, branch: shownName(branch ?? "") }))
  }
  const said = lastWords(stderr).replaceAll(repoUrl, repository)
  return new Failed(
    "clone-failed",
    `${repository} could not be cloned. Git said: ${said} Try again, or check the repository.`,
  )
}

/** A repository's address fit for people and logs. */
export function withoutPassword(repoUrl: string): string {
  const url = URL.parse(repoUrl)
  if (!url?.username && !url?.password) return repoUrl
  url.username = ""
  url.password = ""
  return url.href
}

function lastWords(stderr: string): string {
  const lines = stderr.split(/[\r\n]+/).filter((line) => /^(fatal|error|remote):/.test(line))
  return lines.slice(-2).join(" ").slice(0, 500) || "nothing."
}
