import { constants } from "node:fs"
import { open, readdir, readFile, rm, truncate } from "node:fs/promises"
import { join } from "node:path"
import { decodeLine, encodeLine } from "./line.ts"

/** A file of consecutive items; its name says the number of the first. */
type Segment = { first: number; count: number; bytes: number }

/** A segment that has grown past this is left alone and a new one is begun. */
const SEGMENT_BYTES = 1024 * 1024

/** The part of a file handle that segments are written through. */
export type SegmentFile = {
  write(data: Uint8Array, offset: number): Promise<{ bytesWritten: number }>
  datasync(): Promise<void>
  truncate(bytes: number): Promise<void>
  close(): Promise<void>
}
export type OpenFile = (path: string) => Promise<SegmentFile>

export const openForAppend: OpenFile = (path) =>
  open(path, constants.O_CREAT | constants.O_WRONLY | constants.O_APPEND, 0o600)

/** The numbered items of one stream on disk, in files that are only appended to, cut at a torn end, or removed. */
export class Segments {
  readonly #directory: string
  readonly #openFile: OpenFile
  #segments: Segment[]
  #active: { segment: Segment; handle: SegmentFile } | null = null
  #loaded: { first: number; items: string[] } | null = null

  private constructor(directory: string, segments: Segment[], openFile: OpenFile) {
    this.#directory = directory
    this.#segments = segments
    this.#openFile = openFile
  }

  /** Reads what an earlier process stored. What follows a line that is not whole was never stored, so it goes. */
  static async open(directory: string, openFile: OpenFile = openForAppend): Promise<Segments> {
    const names = (await readdir(directory)).filter((name) => name.endsWith(".log")).sort()
    const segments: Segment[] = []
    for (const [index, name] of names.entries()) {
      const segment = await readSegment(join(directory, name), Number.parseInt(name, 10))
      const before = segments.at(-1)
      if (before && before.first + before.count !== segment.first) {
        for (const lost of names.slice(index)) await rm(join(directory, lost))
        break
      }
      segments.push(segment)
    }
    return new Segments(directory, segments, openFile)
  }

  /** Number of the first item that is still here; `last + 1` when there is none. */
  get first(): number {
    return this.#segments[0]?.first ?? 1
  }

  get last(): number {
    const segment = this.#segments.at(-1)
    return segment ? segment.first + segment.count - 1 : 0
  }

  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytes, 0)
  }

  /** Returns when the items are on disk. When it rejects, none of them is. */
  async append(items: string[]): Promise<void> {
    const { segment, handle } = await this.#segmentForAppend()
    const data = Buffer.from(items.map(encodeLine).join(""))
    try {
      for (let written = 0; written < data.length; ) {
        written += (await handle.write(data, written)).bytesWritten
      }
      await handle.datasync()
    } catch (error) {
      await handle.truncate(segment.bytes)
      throw error
    }
    segment.bytes += data.length
    segment.count += items.length
    if (this.#loaded?.first === segment.first) this.#loaded = null
  }

  /** Items from number `from` on, to the end of the file that holds it. */
  async read(from: number): Promise<string[]> {
    const segment = this.#segments.find(({ first, count }) => from >= first && from < first + count)
    if (!segment) return []
    const { first, count } = segment
    if (this.#loaded?.first === first) return this.#loaded.items.slice(from - first)
    const lines = (await readFile(this.#path(first), "utf8")).split("\n")
    const items = lines.slice(0, count).map(decodeLine)
    if (!items.every((item) => item !== null)) {
      throw new Error(`The outbox file of item ${first} changed under this process.`)
    }
    if (segment.count === count) this.#loaded = { first, items }
    return items.slice(from - first)
  }

  /** Removes the files whose items are all numbered `upTo` or lower; the newest file stays, it carries the count. */
  async discard(upTo: number): Promise<void> {
    while (this.#segments.length > 1) {
      const [oldest] = this.#segments
      if (!oldest || oldest.first + oldest.count - 1 > upTo) return
      this.#segments.shift()
      if (this.#loaded?.first === oldest.first) this.#loaded = null
      await rm(this.#path(oldest.first), { force: true })
    }
  }

  async close(): Promise<void> {
    await this.#active?.handle.close()
    this.#active = null
  }

  async #segmentForAppend() {
    const newest = this.#segments.at(-1)
    const segment =
      newest && newest.bytes < SEGMENT_BYTES ? newest : { first: this.last + 1, count: 0, bytes: 0 }
    if (this.#active?.segment === segment) return this.#active
    await this.close()
    this.#active = { segment, handle: await this.#openFile(this.#path(segment.first)) }
    if (segment !== newest) {
      this.#segments.push(segment)
      await syncDirectory(this.#directory)
    }
    return this.#active
  }

  #path(first: number): string {
    return join(this.#directory, `${String(first).padStart(12, "0")}.log`)
  }
}

async function readSegment(path: string, first: number): Promise<Segment> {
  const data = await readFile(path)
  let count = 0
  let bytes = 0
  for (;;) {
    const end = data.indexOf("\n", bytes)
    if (end === -1 || decodeLine(data.toString("utf8", bytes, end)) === null) break
    count += 1
    bytes = end + 1
  }
  if (bytes < data.length) await truncate(path, bytes)
  return { first, count, bytes }
}

/** A new or renamed file survives a power cut only after its directory was written too. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r")
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
