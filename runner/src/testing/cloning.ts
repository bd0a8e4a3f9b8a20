import { mkdir, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Checkout, type CloneOptions, prepareCheckout } from "../workspace/clone.ts"
import { GIT_PATH, GitRepository } from "./git-repository.ts"

/** A home of its own with an empty repository, and the checkout that a sandbox would make of it. */
export class Cloning {
  readonly home: string
  readonly origin: GitRepository
  readonly directory: string
  readonly stateDirectory: string

  private constructor(home: string) {
    this.home = home
    this.origin = new GitRepository(join(home, "origin"))
    this.directory = join(home, "workspace")
    this.stateDirectory = join(home, "state")
  }

  static async make(): Promise<Cloning> {
    const cloning = new Cloning(await mkdtemp(join(tmpdir(), "clone-")))
    await mkdir(cloning.stateDirectory)
    return cloning
  }

  prepare(overrides: Partial<CloneOptions> = {}): Promise<Checkout> {
    return prepareCheckout({
      repoUrl: this.origin.url,
      branch: null,
      sessionId: "ses_0123456789abcdefgh",
      directory: this.directory,
      stateDirectory: this.stateDirectory,
      environment: { PATH: GIT_PATH, HOME: this.home },
      signal: AbortSignal.timeout(20_000),
      onProgress: () => undefined,
      ...overrides,
    })
  }

  remove(): Promise<void> {
    return rm(this.home, { recursive: true, force: true })
  }
}
