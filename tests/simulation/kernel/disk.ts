import type { Random } from "./random.ts"

type File = { data: Buffer }

/** Whose files they are while they are open: writing takes its time, and is torn when it dies meanwhile. */
export type DiskUser = {
  readonly world: { readonly random: Random }
  sleep(ms: number): Promise<void>
  /** Returns how to take the callback back. */
  onKill(callback: () => void): () => void
}

/** Flags of `open`, as far as they matter here. */
type Mode = { create: boolean; truncate: boolean; append: boolean }

/** A machine's disk. What was written survives the process; a write that is under way when it dies is torn. */
export class Disk {
  readonly #files = new Map<string, File>()
  readonly #directories = new Set<string>(["/"])

  makeDirectory(path: string): void {
    for (let at = path; at !== "/"; at = parentOf(at)) this.#directories.add(at)
  }

  list(path: string): { name: string; isDirectory: () => boolean }[] {
    if (!this.#directories.has(path)) throw missing("scandir", path)
    const inside = (other: string) => parentOf(other) === path
    const entries = [
      ...[...this.#directories].filter(inside).map((other) => ({ other, directory: true })),
      ...[...this.#files.keys()].filter(inside).map((other) => ({ other, directory: false })),
    ]
    return entries
      .map(({ other, directory }) => ({
        name: other.slice(other.lastIndexOf("/") + 1),
        isDirectory: () => directory,
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  read(path: string): Buffer {
    return this.#file("open", path).data
  }

  size(path: string): number {
    return this.#file("stat", path).data.length
  }

  write(path: string, data: Buffer): void {
    this.#files.set(path, { data })
  }

  truncate(path: string, bytes: number): void {
    const file = this.#file("truncate", path)
    file.data = file.data.subarray(0, bytes)
  }

  rename(from: string, to: string): void {
    const file = this.#file("rename", from)
    this.#files.delete(from)
    this.#files.set(to, file)
  }

  remove(path: string, { recursive = false, force = false } = {}): void {
    const found = this.#files.delete(path)
    if (recursive) this.#removeBelow(path)
    if (!found && !force && !recursive) throw missing("rm", path)
  }

  /** Opens a file, or a directory that is only to be synced. */
  open(user: DiskUser, path: string, mode: Mode): OpenFile {
    if (this.#directories.has(path)) return new OpenFile(user, { data: Buffer.alloc(0) })
    let file = this.#files.get(path)
    if (!file) {
      if (!mode.create) throw missing("open", path)
      if (!this.#directories.has(parentOf(path))) throw missing("open", path)
      file = { data: Buffer.alloc(0) }
      this.#files.set(path, file)
    }
    if (mode.truncate) file.data = Buffer.alloc(0)
    return new OpenFile(user, file)
  }

  #removeBelow(path: string): void {
    for (const name of [...this.#files.keys()]) {
      if (name.startsWith(`${path}/`)) this.#files.delete(name)
    }
    for (const name of [...this.#directories]) {
      if (name === path || name.startsWith(`${path}/`)) this.#directories.delete(name)
    }
  }

  #file(call: string, path: string): File {
    const file = this.#files.get(path)
    if (!file) throw missing(call, path)
    return file
  }
}

const LONGEST_WRITE_MS = 3

/** A file handle: everything is appended. */
class OpenFile {
  readonly #user: DiskUser
  readonly #file: File

  constructor(user: DiskUser, file: File) {
    this.#user = user
    this.#file = file
  }

  append(data: Uint8Array): number {
    this.#file.data = Buffer.concat([this.#file.data, data])
    return data.length
  }

  /** Takes a while; the process may die meanwhile, with a part of it written. */
  async write(data: Uint8Array, offset = 0): Promise<{ bytesWritten: number }> {
    const rest = data.subarray(offset)
    const user = this.#user
    const { random } = user.world
    const tear = () => void this.append(rest.subarray(0, random.int(0, rest.length)))
    const intact = user.onKill(tear)
    await user.sleep(random.int(0, LONGEST_WRITE_MS))
    intact()
    return { bytesWritten: this.append(rest) }
  }

  async datasync(): Promise<void> {
    await this.#user.sleep(this.#user.world.random.int(0, LONGEST_WRITE_MS))
  }

  sync = () => this.datasync()

  async truncate(bytes: number): Promise<void> {
    this.#file.data = this.#file.data.subarray(0, bytes)
  }

  async writeFile(text: string): Promise<void> {
    this.append(Buffer.from(text))
  }

  async close(): Promise<void> {}
}

const parentOf = (path: string) => path.slice(0, path.lastIndexOf("/")) || "/"

function missing(call: string, path: string): Error {
  return Object.assign(new Error(`ENOENT: no such file or directory, ${call} '${path}'`), {
    code: "ENOENT",
  })
}
