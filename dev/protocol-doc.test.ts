import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, test } from "vitest"
import { CLOSE } from "#protocol/close-code"
import { PROTOCOL_VERSION, SUBPROTOCOL } from "#protocol/version"
import { closeCodes, limitConstants } from "./protocol-doc/comments.ts"
import { withBlocks } from "./protocol-doc.ts"

const document = readFileSync(join(import.meta.dirname, "../docs/protocol.md"), "utf8")

test("docs/protocol.md shows every message, code and limit as the schemas have them", () => {
  expect(document, "Run `npm run protocol:doc` and commit docs/protocol.md.").toBe(
    withBlocks(document),
  )
})

test("docs/protocol.md speaks of the version that the rooms speak", () => {
  expect(document).toContain(`Version ${PROTOCOL_VERSION}, subprotocol \`${SUBPROTOCOL}\``)
  expect(document).toContain(`protocol: ${PROTOCOL_VERSION},`)
})

test("every close code is described", () => {
  const described = closeCodes().map(({ name, value }) => [name, Number(value)])
  expect(described).toEqual(Object.entries(CLOSE))
})

test("every limit is described", () => {
  const source = readFileSync(join(import.meta.dirname, "../party/protocol/limits.ts"), "utf8")
  expect(limitConstants()).toHaveLength(source.match(/^export const /gm)?.length ?? -1)
})

test("a document that lacks a block, or has one too many, is refused", () => {
  const lacking = document.replace("generated: to-viewer", "written by hand: to-viewer")
  expect(() => withBlocks(lacking)).toThrow("to-viewer")
  const other = document.replace("generated: to-viewer", "generated: to-nobody")
  expect(() => withBlocks(other)).toThrow("to-nobody")
})
