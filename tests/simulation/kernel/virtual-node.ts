import crypto from "node:crypto"
import fs from "node:fs"
import files from "node:fs/promises"
import { syncBuiltinESMExports } from "node:module"
import timers from "node:timers/promises"
import type { Disk } from "./disk.ts"
import { currentProcess } from "./simulated-process.ts"
import { VirtualTimer } from "./virtual-timer.ts"
import { BEGINNING } from "./world-clock.ts"

type Replacement = (...args: never[]) => unknown

/**
 * Gives code of simulated processes the simulation's clock, timers, chance and disk in place of Node's. Everything
 * else in this process keeps the real ones. Done once, and never taken back.
 */
export function virtualiseNode(): void {
  replace(globalThis, {
    setTimeout: (code: () => void, ms = 0) => VirtualTimer.start(code, ms, false),
    setInterval: (code: () => void, ms = 0) => VirtualTimer.start(code, ms, true),
  })
  for (const name of ["clearTimeout", "clearInterval"] as const) replaceClear(name)
  replace(Date, { now: () => now() })
  replace(performance, { now: () => now() - BEGINNING })
  replace(Math, { random: () => entropy().next() })
  replace(AbortSignal, { timeout: timeoutSignal })
  replace(timers, { setTimeout: sleep })
  replace(crypto, {
    randomUUID: () => uuid(entropy().bytes(16)),
    randomBytes: (count: number) => entropy().bytes(count),
  })
  replaceSigning()
  replaceFiles()
  syncBuiltinESMExports()
}

/** Code of a simulated process gets the replacement, all else what was there. */
function replace(target: object, replacements: Record<string, Replacement>): void {
  for (const [name, replacement] of Object.entries(replacements)) {
    const real: unknown = Reflect.get(target, name)
    if (typeof real !== "function") throw new Error(`there is no ${name} to replace`)
    const chosen = function (this: unknown, ...args: unknown[]): unknown {
      return Reflect.apply(currentProcess() ? replacement : real, this, args)
    }
    const value = Object.assign(chosen, real)
    Object.defineProperty(target, name, { value, configurable: true, writable: true })
  }
}

/** A timer is cleared by whoever holds it, so the timer itself decides. */
function replaceClear(name: "clearTimeout" | "clearInterval"): void {
  const real = globalThis[name]
  const value = (timer: Parameters<typeof real>[0] | VirtualTimer) => {
    if (timer instanceof VirtualTimer) timer.cancel()
    else real(timer)
  }
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true })
}

/** Signing runs on another thread, which the simulation has to wait for. */
function replaceSigning(): void {
  const real = SubtleCrypto.prototype.sign
  SubtleCrypto.prototype.sign = function (...args) {
    const process = currentProcess()
    const sign = () => real.apply(this, args)
    return process ? process.world.outside(sign) : sign()
  }
}

function replaceFiles(): void {
  const descriptors = new Map<number, ReturnType<Disk["open"]>>()
  let nextDescriptor = 1_000
  const handle = (descriptor: number) => {
    const file = descriptors.get(descriptor)
    if (!file) throw new Error(`EBADF: ${descriptor}`)
    return file
  }
  const absent = (name: string) => [name, () => refuse(`the simulated disk has no ${name}`)]
  const others = Object.keys(files).filter((name) => typeof Reflect.get(files, name) === "function")
  replace(files, Object.fromEntries(others.map(absent)))
  replace(files, {
    mkdir: async (path: string) => disk().makeDirectory(path),
    readdir: async (path: string, options?: { withFileTypes?: boolean }) => {
      const entries = disk().list(path)
      return options?.withFileTypes ? entries : entries.map(({ name }) => name)
    },
    readFile: async (path: string, encoding?: string) => contents(path, encoding),
    writeFile: async (path: string, data: string | Uint8Array) =>
      disk().write(path, typeof data === "string" ? Buffer.from(data) : asBuffer(data)),
    rm: async (path: string, options?: { recursive?: boolean; force?: boolean }) =>
      disk().remove(path, options),
    rename: async (from: string, to: string) => disk().rename(from, to),
    truncate: async (path: string, bytes: number) => disk().truncate(path, bytes),
    stat: async (path: string) => ({ size: disk().size(path) }),
    statfs: async () => FREE_DISK,
    open: async (path: string, flags: string | number) =>
      disk().open(running(), path, modeOf(flags)),
  })
  replace(fs, {
    mkdirSync: (path: string) => disk().makeDirectory(path),
    readFileSync: (path: string, encoding?: string) => contents(path, encoding),
    renameSync: (from: string, to: string) => disk().rename(from, to),
    openSync: (path: string, flags: string | number) => {
      descriptors.set(++nextDescriptor, disk().open(running(), path, modeOf(flags)))
      return nextDescriptor
    },
    writeSync: (descriptor: number, data: Uint8Array, offset = 0) =>
      handle(descriptor).append(data.subarray(offset)),
    fsyncSync: () => undefined,
    closeSync: (descriptor: number) => void descriptors.delete(descriptor),
  })
}

/** Space enough, in blocks. */
const FREE_DISK = { bsize: 4_096, blocks: 2 ** 24, bfree: 2 ** 23, bavail: 2 ** 23 }

function refuse(why: string): never {
  throw new Error(why)
}

function running() {
  const process = currentProcess()
  return process ?? refuse("no simulated process runs")
}

const now = () => running().world.now
const entropy = () => running().world.entropy

function disk(): Disk {
  const process = running()
  if (!process.disk) throw new Error(`${process.name} has no disk`)
  return process.disk
}

function contents(path: string, encoding?: string): Buffer | string {
  const data = disk().read(path)
  return encoding === undefined ? data : data.toString("utf8")
}

const asBuffer = (data: Uint8Array) => Buffer.from(data.buffer, data.byteOffset, data.byteLength)

function modeOf(flags: string | number) {
  if (typeof flags === "string") {
    return { create: flags !== "r", truncate: flags === "w", append: flags === "a" }
  }
  const has = (flag: number) => (flags & flag) !== 0
  const { O_CREAT, O_TRUNC, O_APPEND } = fs.constants
  return { create: has(O_CREAT), truncate: has(O_TRUNC), append: has(O_APPEND) }
}

function sleep(ms = 0, value?: unknown, options?: { signal?: AbortSignal }): Promise<unknown> {
  const process = running()
  return new Promise((resolve, reject) => {
    process.after(ms, () => resolve(value))
    options?.signal?.addEventListener("abort", () => reject(options.signal?.reason))
  })
}

function timeoutSignal(ms: number): AbortSignal {
  const controller = new AbortController()
  const late = () => controller.abort(new DOMException("The operation timed out.", "TimeoutError"))
  running().after(ms, late)
  return controller.signal
}

function uuid(bytes: Buffer): string {
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const hex = bytes.toString("hex")
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join("-")
}
