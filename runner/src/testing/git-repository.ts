import { execFileSync } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { pathToFileURL } from "node:url"

/** Where git is found, whatever the environment of the test run says. */
export const GIT_PATH = "/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin"

/** A Git repository on disk, with an author of its own and untouched by the machine's settings. */
export class GitRepository {
  readonly directory: string
  readonly url: string

  constructor(directory: string) {
    mkdirSync(directory, { recursive: true })
    this.directory = directory
    this.url = pathToFileURL(directory).href
    this.git("init", "--quiet", "--initial-branch=main")
  }

  git(...args: string[]): string {
    return execFileSync("git", args, {
      cwd: this.directory,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: GIT_PATH,
        HOME: "/nonexistent",
        GIT_CONFIG_NOSYSTEM: "1",
        GIT_AUTHOR_NAME: "Ada",
        GIT_AUTHOR_EMAIL: "ada@example.com",
        GIT_COMMITTER_NAME: "Ada",
        GIT_COMMITTER_EMAIL: "ada@example.com",
      },
    })
  }

  write(path: string, content: string | Uint8Array): void {
    mkdirSync(dirname(join(this.directory, path)), { recursive: true })
    writeFileSync(join(this.directory, path), content)
  }

  /** Commits everything and returns the commit's id. */
  commit(message = "change"): string {
    this.git("add", "--all")
    this.git("commit", "--quiet", "--allow-empty", "--message", message)
    return this.git("rev-parse", "HEAD").trim()
  }
}
