import { rm } from "node:fs/promises"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { Cloning } from "../testing/cloning.ts"
import type { GitRepository } from "../testing/git-repository.ts"

const EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

let cloning: Cloning
let origin: GitRepository

beforeEach(async () => {
  cloning = await Cloning.make()
  origin = cloning.origin
})

afterEach(() => cloning.remove())

describe("the work starts", () => {
  test("at the default branch", async () => {
    origin.git("checkout", "-q", "-b", "trunk")
    const commit = origin.commit()

    expect(await cloning.prepare()).toMatchObject({ baseCommit: commit, branch: "trunk" })
  })

  test("at the branch asked for", async () => {
    origin.commit()
    origin.git("checkout", "-q", "-b", "feature/x")
    const commit = origin.commit("on the branch")

    expect(await cloning.prepare({ branch: "feature/x" })).toMatchObject({
      baseCommit: commit,
      branch: "feature/x",
    })
  })

  test("at the tag asked for", async () => {
    const commit = origin.commit()
    origin.git("tag", "v1")
    origin.commit("later")

    expect(await cloning.prepare({ branch: "v1" })).toMatchObject({
      baseCommit: commit,
      branch: "v1",
    })
  })

  test("on no branch where the repository's HEAD is a commit", async () => {
    const commit = origin.commit()
    origin.commit("later")
    origin.git("checkout", "-q", commit)

    const checkout = { baseCommit: commit, branch: null, workingBranch: "agent-ops/abcdefgh" }
    expect(await cloning.prepare()).toMatchObject(checkout)
    expect(await cloning.prepare()).toMatchObject(checkout)
  })

  test("from the empty tree, on no branch, in an empty repository, for each sandbox", async () => {
    const checkout = { baseCommit: EMPTY_TREE, branch: null, workingBranch: "agent-ops/abcdefgh" }
    const { branch } = await cloning.prepare()
    expect(branch).toBeNull()
    await rm(cloning.directory, { recursive: true })

    expect(await cloning.prepare({ branch })).toMatchObject(checkout)
  })

  test("at the only branch of a repository whose HEAD names a missing one", async () => {
    origin.git("checkout", "-q", "-b", "only")
    origin.write("a", "a\n")
    const commit = origin.commit()
    origin.git("symbolic-ref", "HEAD", "refs/heads/missing")

    expect(await cloning.prepare()).toMatchObject({
      baseCommit: commit,
      branch: "only",
      workingBranch: "agent-ops/abcdefgh",
    })
  })
})

describe("a repository that does not say where the work starts", () => {
  test("names its branches, the youngest first", async () => {
    origin.commit()
    for (const name of ["a", "b", "c", "d", "e", "f"]) origin.git("branch", name)
    origin.git("symbolic-ref", "HEAD", "refs/heads/missing")

    await expect(cloning.prepare()).rejects.toMatchObject({
      reason: "default-branch-missing",
      message: `${origin.url} has no default branch: its HEAD names one that does not exist. Start a session on one of its branches: “a”, “b”, “c”, “d”, “e” and 2 more.`,
    })
    expect(await cloning.prepare({ branch: "c" })).toMatchObject({ branch: "c" })
  })

  test("names them so that no name turns the sentence around", async () => {
    origin.commit()
    origin.git("branch", "a\u202eb")
    origin.git("symbolic-ref", "HEAD", "refs/heads/missing")

    await expect(cloning.prepare()).rejects.toThrow(/“a\ufffdb”, “main”\.$/)
  })

  test("names its tags when it has no branch", async () => {
    origin.commit()
    origin.git("tag", "v1")
    origin.git("update-ref", "-d", "refs/heads/main")

    await expect(cloning.prepare()).rejects.toMatchObject({
      reason: "default-branch-missing",
      message: `${origin.url} has no branch, only tags. Push a branch, or start a session on one of the tags: “v1”.`,
    })
    expect(await cloning.prepare({ branch: "v1" })).toMatchObject({ branch: "v1" })
  })

  test("is cloned afresh once it does", async () => {
    const commit = origin.commit()
    origin.git("branch", "other")
    origin.git("symbolic-ref", "HEAD", "refs/heads/missing")
    await expect(cloning.prepare()).rejects.toMatchObject({ reason: "default-branch-missing" })

    origin.git("symbolic-ref", "HEAD", "refs/heads/main")

    expect(await cloning.prepare()).toMatchObject({ baseCommit: commit, branch: "main" })
  })
})
