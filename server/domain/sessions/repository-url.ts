import { fileURLToPath } from "node:url"
import { isLoopback, isPrivateHost } from "../../private-hosts.ts"
import { Invalid } from "../errors.ts"
import { quoted } from "../quoted.ts"

const MAX_URL_CHARS = 2_000

/**
 * The repository's URL as it is handed to git: https anywhere, file and loopback http only on a laptop. Never one
 * that git could read as an option or that carries a credential. It is written out in full, because git reads
 * "https:host/x" or "HTTPS://host/x" differently from who checked it.
 */
export function repositoryUrl(raw: string, { local }: { local: boolean }): string {
  const text = raw.trim()
  const allowed = local ? "https://, file:// or http://localhost" : "https://"
  if (text === "") throw new Invalid("repository-required", "Name the repository's https:// URL.")
  const url = plain(text) ? URL.parse(text) : null
  if (!url) {
    throw new Invalid(
      "repository-url-invalid",
      `${quoted(text)} is not a repository's URL. Use one that begins with ${allowed}.`,
    )
  }
  if (!schemeAllowed(url, local)) {
    throw new Invalid(
      "repository-scheme-not-allowed",
      `${quoted(text)} is not read: repositories come from ${allowed}. Use such a URL.`,
    )
  }
  if (!local && isPrivateHost(url.hostname)) {
    throw new Invalid(
      "repository-host-private",
      `${quoted(url.hostname)} is a machine of a private network, which sandboxes may not reach. Use a repository on a public host.`,
    )
  }
  if (url.username || url.password) {
    throw new Invalid(
      "repository-credentials-in-url",
      "Leave the user name and token out of the repository's URL; they would be stored in clear.",
    )
  }
  if (url.search || url.hash || url.hostname.startsWith("-") || !hasUsablePath(url)) {
    throw new Invalid(
      "repository-url-invalid",
      `${quoted(text)} is not a repository's URL. Use the plain one, such as https://example.com/owner/name, with a host, a path, and no ? or #.`,
    )
  }
  return url.href
}

function schemeAllowed(url: URL, local: boolean): boolean {
  if (url.protocol === "https:") return true
  if (!local) return false
  if (url.protocol === "http:") return isLoopback(url.hostname)
  return url.protocol === "file:" && url.hostname === ""
}

/** Escapes in the address may not hide what a path cannot have: a control character or, in a file's name, a slash. */
function hasUsablePath(url: URL): boolean {
  if (url.pathname.length < 2 || /%(0|1|7f)/i.test(url.pathname)) return false
  if (url.protocol !== "file:") return true
  try {
    return fileURLToPath(url) !== ""
  } catch {
    return false
  }
}

/** No option, no control character, no blank or backslash that git and URL parsers read differently. */
function plain(text: string): boolean {
  if (text.startsWith("-") || text.length > MAX_URL_CHARS || !text.isWellFormed()) return false
  return !/[\p{Cc}\p{Cf}\s\\]/u.test(text)
}
