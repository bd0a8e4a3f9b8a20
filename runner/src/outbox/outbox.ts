import { setTimeout as sleep } from "node:timers/promises"
import type { OutboxItem } from "#protocol/work"
import { DiskSpace } from "./disk-space.ts"
import { fitJson } from "./fit-item.ts"
import { type OpenFile, Segments } from "./segments.ts"
import {
  chooseStream,
  continueStream,
  createStream,
  type Stream,
  streamDirectory,
} from "./stream-file.ts"
import { Tail } from "./tail.ts"

/** The shortest time between two writes: what is pushed meanwhile shares one write and one sync. */
const GROUP_MS = 8

/** Most characters of one write, except that one item is always written whole. */
const GROUP_CHARS = 1024 * 1024

/** Beyond this backlog, passing versions of running tools are not taken any more; their last version carries all. */
const FULL_BACKLOG_BYTES = 64 * 1024 * 1024

export type OutboxOptions = {
  directory: string
  generation: number
  /** The disk is full, or has room again. While it is full, items wait in memory. */
  onDiskFull: (full: boolean) => void
  /** The disk failed for good: nothing more can be promised, the process has to end. */
  onBroken: (error: unknown) => void
  openFile?: OpenFile
}

/**
 * What the runner owes the room: items in order, numbered from 1 without a gap, kept on disk until the room has stored
 * them. An item may be sent only once it is stored here, so no crash can make the room hold what the outbox forgot.
 */
export class Outbox {
  readonly #options: OutboxOptions
  readonly #space: DiskSpace
  readonly #listeners = new Set<() => void>()
  #stream: Stream
  #segments: Segments
  #tail: Tail
  #acked: number
  #last: number
  #waiting: string[] = []
  #storing: Promise<void> | null = null
  #lastStoreAt = Number.NEGATIVE_INFINITY
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(options: OutboxOptions, stream: Stream, segments: Segments) {
    this.#options = options
    this.#space = new DiskSpace(options.directory, options.onDiskFull)
    this.#stream = stream
    this.#segments = segments
    this.#tail = new Tail(segments.last + 1)
    this.#acked = segments.first - 1
    this.#last = segments.last
  }

  /** Continues what an earlier process of this generation left in `directory`. */
  static async open(options: OutboxOptions): Promise<Outbox> {
    const { directory, generation, openFile } = options
    const stream = await continueStream(directory, generation)
    const segments = await Segments.open(streamDirectory(directory, stream), openFile)
    const outbox = new Outbox(options, stream, segments)
    await outbox.#space.reserve()
    return outbox
  }

  get streamId(): string {
    return this.#stream.streamId
  }

  /** Number of the newest item taken. */
  get last(): number {
    return this.#last
  }

  /** Number of the newest item on disk: the newest that may be sent. */
  get stored(): number {
    return this.#segments.last
  }

  /** Number of the newest item that the room is known to have stored. */
  get acked(): number {
    return this.#acked
  }

  /** While the disk is full, items wait in memory. */
  get diskFull(): boolean {
    return this.#space.full
  }

  /** Takes the item at once and returns its number, or null when this passing version is left out. */
  push(item: OutboxItem): number | null {
    if (this.#segments.bytes > FULL_BACKLOG_BYTES && isPassing(item)) return null
    this.#waiting.push(fitJson(item))
    this.#last += 1
    this.#store()
    return this.#last
  }

  /** Calls back after each change of `stored`, `acked` or `streamId`. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener)
  }

  /** JSON of stored items from number `from` to at most `to`: one, and more while they fit `maxChars` together. */
  async read(from: number, to: number, maxChars: number): Promise<string[]> {
    const found = this.#tail.from(from) ?? (await this.#segments.read(from))
    return fitting(found.slice(0, Math.max(0, to - from + 1)), maxChars)
  }

  /** The room has stored everything up to `number`. */
  ack(number: number): void {
    if (number <= this.#acked) return
    this.#acked = Math.min(number, this.stored)
    this.#tail.forget(this.#acked)
    this.#changed()
    const upTo = this.#acked
    this.#inTurn(() => this.#segments.discard(upTo)).catch(this.#options.onBroken)
  }

  /**
   * Moves what is not acknowledged into a new stream, numbered from 1: the room and this outbox disagree on what the
   * old numbers mean.
   */
  async renew(): Promise<void> {
    await this.#inTurn(async () => {
      const { directory, generation, openFile } = this.#options
      const stream = await createStream(directory, generation)
      const segments = await Segments.open(streamDirectory(directory, stream), openFile)
      for (let from = this.#acked + 1; from <= this.stored; ) {
        const items = await this.#segments.read(from)
        await segments.append(items)
        from += items.length
      }
      await chooseStream(directory, stream)
      await this.#segments.close()
      this.#stream = stream
      this.#segments = segments
      this.#tail = new Tail(segments.last + 1)
      this.#acked = 0
      this.#last = segments.last + this.#waiting.length
    })
    this.#changed()
  }

  /** True as soon as the room has everything, false after `withinMs`. */
  async delivered(withinMs: number): Promise<boolean> {
    if (this.#acked === this.#last) return true
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const timer = setTimeout(() => resolve(false), withinMs)
    const listener = () => this.#acked === this.#last && resolve(true)
    this.#listeners.add(listener)
    const delivered = await promise
    this.#listeners.delete(listener)
    clearTimeout(timer)
    return delivered
  }

  /** Resolves when everything taken so far is stored. */
  async settled(): Promise<void> {
    while (this.#storing) await this.#storing
  }

  /** Stores what is waiting, then lets go of the files. What a full disk refuses is lost with the process. */
  async close(): Promise<void> {
    this.#space.close()
    await this.settled()
    await this.#inTurn(() => this.#segments.close())
  }

  #store(): void {
    this.#storing ??= this.#storeAll().then(
      () => {
        this.#storing = null
        if (this.#waiting.length > 0) this.#store()
      },
      (error: unknown) => {
        this.#storing = null
        this.#options.onBroken(error)
      },
    )
  }

  async #storeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const pauseMs = this.#lastStoreAt + GROUP_MS - performance.now()
      if (pauseMs > 0) await sleep(pauseMs)
      this.#lastStoreAt = performance.now()
      await this.#inTurn(() => this.#storeGroup())
    }
  }

  async #storeGroup(): Promise<void> {
    const group = fitting(this.#waiting, GROUP_CHARS)
    await this.#space.write(() => this.#segments.append(group))
    this.#waiting.splice(0, group.length)
    this.#tail.add(group)
    this.#changed()
  }

  /** One file operation at a time: appending, removing and moving never meet. */
  #inTurn<Result>(operation: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(operation)
    this.#turn = result.catch(() => undefined)
    return result
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }
}

/** The first of these: one, and more while they fit `maxChars` together, separators counted. */
function fitting(items: string[], maxChars: number): string[] {
  let chars = 0
  const tooMany = items.findIndex((json, index) => {
    chars += json.length + 1
    return index > 0 && chars > maxChars
  })
  return tooMany === -1 ? items.slice() : items.slice(0, tooMany)
}

/** A version of a tool that still runs and was shown before: its last version replaces it in any case. */
function isPassing(item: OutboxItem): boolean {
  if (!("entry" in item) || item.entry.kind !== "tool") return false
  return item.entry.state === "running" && item.entry.output !== ""
}
