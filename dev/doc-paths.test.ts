import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterEach, beforeEach, expect, test } from "vitest"
import { deadMentions } from "./doc-paths.ts"

let root: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "doc-paths-"))
  write("server/domain/prompts/send-prompt.ts", "")
  write("party/room/reduce.ts", "")
  write("Makefile", "dev: install\n\tnpm run dev\nlint typecheck:\n\tnpm run $@\n")
  write("package.json", JSON.stringify({ scripts: { stack: "node dev/stack.ts" } }))
})

afterEach(() => rmSync(root, { recursive: true, force: true }))

function write(file: string, content: string) {
  mkdirSync(dirname(join(root, file)), { recursive: true })
  writeFileSync(join(root, file), content)
}

test("a document that names a path which is gone is reported with its line", () => {
  write(
    "docs/architecture.md",
    "Prompts:\n`server/domain/prompts/sent.ts` and `party/room/reduce.ts`\n",
  )

  expect(deadMentions(root)).toEqual([
    "docs/architecture.md:2 names server/domain/prompts/sent.ts, which does not exist",
  ])
})

test("a path may be written from the repository's root or from the document's folder", () => {
  write(
    "party/README.md",
    "`party/room/reduce.ts`, `room/reduce.ts`, [the room](room/reduce.ts#L3)\n",
  )

  expect(deadMentions(root)).toEqual([])
})

test("a dead link is reported, an address on the web is not followed", () => {
  write("README.md", "[here](docs/gone.md) [there](https://example.org/docs/gone.md)\n")

  expect(deadMentions(root)).toEqual(["README.md:1 names docs/gone.md, which does not exist"])
})

test("braces name several paths, placeholders vouch for the folder before them", () => {
  write(
    "README.md",
    "`party/room/{reduce,timeline}.ts` `server/domain/<noun>/<verb>.ts` `server/jobs/…`\n",
  )

  expect(deadMentions(root)).toEqual([
    "README.md:1 names party/room/timeline.ts, which does not exist",
    "README.md:1 names server/jobs, which does not exist",
  ])
})

test("a make target or npm script that a document promises must exist", () => {
  write(
    "README.md",
    "`make dev`, `make typecheck`, `JSON=1 make demo`, `npm run stack -- --port 1`, `npm run gone`\n",
  )

  expect(deadMentions(root)).toEqual([
    "README.md:1 names `make demo`, which is no target",
    "README.md:1 names `npm run gone`, which is no script",
  ])
})

test("addresses, packages, import specifiers, media types and code blocks are not paths", () => {
  write(
    "README.md",
    "`/api/health` `./reduce.ts` `@prisma/client` `#protocol/room` `application/json` `node_modules/.bin/node`\n```\nserver/gone.ts\n```\n",
  )

  expect(deadMentions(root)).toEqual([])
})
