import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const FOLDER = fileURLToPath(new URL("../../party/protocol", import.meta.url))

const read = (file: string) => readFileSync(join(FOLDER, file), "utf8")

/** A comment as one line of text. */
const plain = (comment: string) =>
  comment
    .replaceAll(/^\s*\*\s?/gm, "")
    .replaceAll(/\s+/g, " ")
    .trim()

/** What the source says above each message of one schema, by the message's name. */
export function messageComments(file: string, schema: string): Map<string, string> {
  const source = read(file)
  const start = source.indexOf(`export const ${schema} =`)
  const end = source.indexOf("\nexport ", start + 1)
  const found = source
    .slice(start, end < 0 ? undefined : end)
    .matchAll(/\/\*\*((?:(?!\*\/).)*)\*\/\s*z\.object\(\{\s*\w+: z\.literal\("([^"]+)"\)/gs)
  return new Map([...found].map(([, comment = "", name = ""]) => [name, plain(comment)]))
}

export type Constant = { name: string; value: string; comment: string }

/** The exported numbers of party/protocol/limits.ts, as they are written. */
export function limitConstants(): Constant[] {
  const found = read("limits.ts").matchAll(
    /\/\*\*((?:(?!\*\/).)*)\*\/\nexport const (\w+) = ([^\n]+)/gs,
  )
  return [...found].map(([, comment = "", name = "", value = ""]) => {
    return { name, value, comment: plain(comment) }
  })
}

export function closeCodes(): Constant[] {
  const found = read("close-code.ts").matchAll(/\/\*\*((?:(?!\*\/).)*)\*\/\s*(\w+): (\d+),/gs)
  return [...found].map(([, comment = "", name = "", value = ""]) => {
    return { name, value, comment: plain(comment) }
  })
}
