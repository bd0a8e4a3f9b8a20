import type { ChangedFile } from "#protocol/entry"

export type ParsedFile = ChangedFile & {
  binary: boolean
  /** The file's unified diff, or null when the output ends before it was written whole. */
  patch: Buffer | null
}

const PATCH_START = "diff --git "

/**
 * Reads `git diff --raw --numstat --patch -z`: one record per file, then one count per file, then the patches in the
 * same order. `cut` says that the output's end is missing.
 */
export function parseDiff(output: Buffer, cut: boolean): ParsedFile[] {
  const fields = new FieldReader(output)
  const records: RawRecord[] = []
  while (fields.nextStartsWith(":")) records.push(readRecord(fields))
  const counts = records.map(() => readCount(fields))
  const patches = splitPatches(fields.rest())
  if (cut) patches.pop()
  return records.map(({ patches: expected, ...file }, index) => {
    const own = patches.splice(0, expected)
    return {
      ...file,
      ...(counts[index] ?? NO_COUNT),
      patch: own.length === expected ? Buffer.concat(own) : null,
    }
  })
}

type RawRecord = Pick<ChangedFile, "path" | "oldPath" | "status"> & { patches: number }

function readRecord(fields: FieldReader): RawRecord {
  const letter = fields.next().split(" ").at(-1)?.charAt(0)
  const path = fields.next()
  if (letter === "R") return { path: fields.next(), oldPath: path, status: "renamed", patches: 1 }
  if (letter === "A") return { path, status: "added", patches: 1 }
  if (letter === "D") return { path, status: "deleted", patches: 1 }
  // A file that became a link, or the reverse, is one record, written as a removal and an addition.
  return { path, status: "modified", patches: letter === "T" ? 2 : 1 }
}

type Count = Pick<ParsedFile, "additions" | "deletions" | "binary">

const NO_COUNT: Count = { additions: 0, deletions: 0, binary: false }

function readCount(fields: FieldReader): Count {
  const [additions = "", deletions = "", path] = fields.next().split("\t")
  // Both names of a renamed file follow in fields of their own.
  if (path === "") fields.skip(2)
  if (additions === "-") return { ...NO_COUNT, binary: true }
  return { additions: Number(additions), deletions: Number(deletions), binary: false }
}

/** Lines of a file's content always stand behind a space, a sign or a backslash, so only a patch begins like this. */
function splitPatches(text: Buffer): Buffer[] {
  const patches: Buffer[] = []
  let start = text.indexOf(PATCH_START)
  while (start !== -1) {
    const lineBreak = text.indexOf(`\n${PATCH_START}`, start)
    const end = lineBreak === -1 ? text.length : lineBreak + 1
    patches.push(text.subarray(start, end))
    start = lineBreak === -1 ? -1 : end
  }
  return patches
}

/** Reads fields that end in NUL. What is missing reads as empty. */
class FieldReader {
  readonly #data: Buffer
  #at = 0

  constructor(data: Buffer) {
    this.#data = data
  }

  nextStartsWith(character: string): boolean {
    return this.#data[this.#at] === character.charCodeAt(0)
  }

  next(): string {
    const end = this.#data.indexOf(0, this.#at)
    const field = this.#data.toString("utf8", this.#at, end === -1 ? this.#data.length : end)
    this.#at = end === -1 ? this.#data.length : end + 1
    return field
  }

  skip(count: number): void {
    for (let n = 0; n < count; n++) this.next()
  }

  rest(): Buffer {
    return this.#data.subarray(this.#at)
  }
}
