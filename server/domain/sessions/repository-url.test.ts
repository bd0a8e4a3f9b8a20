import { expect, test } from "vitest"
import { repositoryUrl } from "./repository-url.ts"

const reasonOf = (raw: string, local = false): string | undefined => {
  try {
    repositoryUrl(raw, { local })
    return undefined
  } catch (error) {
    return error instanceof Error && "reason" in error ? String(error.reason) : String(error)
  }
}

test.each([
  "https://github.com/owner/name",
  "https://git.example.com:8443/group/sub/name.git",
  " https://github.com/owner/name ",
])("%s may be read anywhere", (url) => {
  expect(repositoryUrl(url, { local: false })).toBe(url.trim())
})

test.each([
  ["HTTPS://GitHub.com/owner/name", "https://github.com/owner/name"],
  ["https:github.com/owner/name", "https://github.com/owner/name"],
  ["file:/srv/git/name", "file:///srv/git/name"],
  ["file:///srv/新/name", "file:///srv/%E6%96%B0/name"],
  ["http://2130706433/name", "http://127.0.0.1/name"],
])("%s is handed to git as %s, which both read alike", (raw, url) => {
  expect(repositoryUrl(raw, { local: true })).toBe(url)
})

test.each([
  "file:///srv/git/name",
  "http://127.0.0.1:3000/name.git",
  "http://localhost:3000/name.git",
  "http://[::1]:3000/name.git",
])("%s may be read on a laptop alone", (url) => {
  expect(repositoryUrl(url, { local: true })).toBe(url)
  expect(reasonOf(url)).toBe("repository-scheme-not-allowed")
})

test.each<[string, string]>([
  ["ssh://git@github.com/owner/name", "repository-scheme-not-allowed"],
  ["git://github.com/owner/name", "repository-scheme-not-allowed"],
  ["ext::sh -c touch% /tmp/x", "repository-url-invalid"],
  ["ext::touch%20/tmp/x", "repository-scheme-not-allowed"],
  ["javascript:alert(1)", "repository-scheme-not-allowed"],
  ["http://github.com/owner/name", "repository-scheme-not-allowed"],
  ["http://127.0.0.1.example.com/name", "repository-scheme-not-allowed"],
  ["http://10.0.0.1/name", "repository-scheme-not-allowed"],
  ["file://server/share/name", "repository-scheme-not-allowed"],
  ["git@github.com:owner/name.git", "repository-url-invalid"],
  ["/srv/git/name", "repository-url-invalid"],
  ["--upload-pack=touch", "repository-url-invalid"],
  ["https://-oProxyCommand=x/name", "repository-url-invalid"],
  ["https://user:token@github.com/owner/name", "repository-credentials-in-url"],
  ["https://token@github.com/owner/name", "repository-credentials-in-url"],
  ["https://github.com/owner/name?token=secret", "repository-url-invalid"],
  ["https://github.com/owner/name#x", "repository-url-invalid"],
  ["https://github.com/owner\n/name", "repository-url-invalid"],
  ["https://github.com/owner%0a/name", "repository-url-invalid"],
  ["https://github.com\\@evil.example/name", "repository-url-invalid"],
  ["https://github.com/own\u202eer/name", "repository-url-invalid"],
  ["https://github.com", "repository-url-invalid"],
  ["https://github.com/\ud800", "repository-url-invalid"],
  ["", "repository-required"],
])("%j is refused as %s, even on a laptop", (url, reason) => {
  expect(reasonOf(url, true)).toBe(reason)
})

test.each([
  "https://169.254.169.254/latest/meta-data",
  "https://10.0.0.5/owner/name",
  "https://localhost/owner/name",
  "https://[::1]/owner/name",
  "https://2130706433/owner/name",
  "https://git.internal/owner/name",
])("%s is a private network's, and read on a laptop alone", (url) => {
  expect(reasonOf(url)).toBe("repository-host-private")
  expect(reasonOf(url, true)).toBeUndefined()
})

test.each([
  "file:///srv/git/a%00b",
  "file:///srv/git%2Fname",
  "file:///srv/git/%ff",
  "file:///srv/%0aname",
])("%s names no folder", (url) => {
  expect(reasonOf(url, true)).toBe("repository-url-invalid")
})
