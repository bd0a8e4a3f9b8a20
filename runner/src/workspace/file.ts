import { constants } from "node:fs"
import { type FileHandle, open, realpath } from "node:fs/promises"
import { isAbsolute, join, relative, sep } from "node:path"
import { MAX_MESSAGE_CHARS } from "#protocol/limits"
import { Failed, shownName } from "../failed.ts"
import { isFolder, workspaceGone } from "./gone.ts"

const MAX_FILE_BYTES = 1024 * 1024

/** What an answer may take as JSON, with room for the message around it. */
const MAX_TEXT_CHARS = MAX_MESSAGE_CHARS - 16 * 1024

/** Git too looks this far for a NUL to tell binary files. */
const BINARY_PROBE_BYTES = 8_000

export type FileContent = {
  path: string
  /** Size of the whole file. */
  bytes: number
  binary: boolean
  /** `text` is only the beginning. */
  truncated: boolean
  /** Empty for a binary file. */
  text: string
}

/** A file of the checkout by its path relative to it. Throws Failed for whatever lies outside or is no plain file. */
export async function readWorkspaceFile(directory: string, path: string): Promise<FileContent> {
  if (!(await isFolder(directory))) throw workspaceGone()
  const handle = await openInside(await realpath(directory), path)
  try {
    return { path, ...(await contentOf(handle, path)) }
  } finally {
    await handle.close()
  }
}

async function openInside(root: string, path: string): Promise<FileHandle> {
  try {
    const target = await realpath(join(root, path))
    const inside = relative(root, target)
    if (isOutside(inside) || isGitInternal(inside)) throw notFound(path)
    // Opening a pipe would otherwise wait for its other end.
    return await open(target, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW)
  } catch (error) {
    throw explained(error, path)
  }
}

function explained(error: unknown, path: string): unknown {
  switch (error instanceof Error && "code" in error ? error.code : null) {
    case "ENOENT":
    case "ENOTDIR":
    case "ELOOP":
    case "ENAMETOOLONG":
    case "ERR_INVALID_ARG_VALUE":
      return notFound(path)
    // So a socket answers, or a device that is not there.
    case "ENXIO":
    case "ENODEV":
      return notAFile(path)
    case "EACCES":
    case "EPERM":
      return notReadable(path)
    default:
      return error
  }
}

const notFound = (path: string) =>
  new Failed(
    "file-not-found",
    `There is no file “${shownName(path)}” in the workspace. Check its path, or whether the agent has removed it.`,
  )

const notAFile = (path: string) =>
  new Failed(
    "not-a-file",
    `“${shownName(path)}” is no plain file but a folder, a pipe, a socket or a device. Open a file instead.`,
  )

const notReadable = (path: string) =>
  new Failed(
    "file-not-readable",
    `The sandbox may not read “${shownName(path)}”. Have the agent change the file's mode, then try again.`,
  )

function isOutside(inside: string): boolean {
  return inside === ".." || inside.startsWith(`..${sep}`) || isAbsolute(inside)
}

function isGitInternal(inside: string): boolean {
  return inside.split(sep).includes(".git")
}

async function contentOf(handle: FileHandle, path: string): Promise<Omit<FileContent, "path">> {
  const stat = await handle.stat()
  if (!stat.isFile()) throw notAFile(path)
  const buffer = Buffer.alloc(Math.min(stat.size, MAX_FILE_BYTES))
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0)
  const data = buffer.subarray(0, bytesRead)
  const bytes = stat.size
  if (data.subarray(0, BINARY_PROBE_BYTES).includes(0)) {
    return { bytes, binary: true, truncated: false, text: "" }
  }
  // While streaming, the decoder keeps back a character that the size limit cut in two.
  const whole = new TextDecoder().decode(data, { stream: bytes > bytesRead })
  const text = fitting(whole)
  return { bytes, binary: false, truncated: bytes > bytesRead || text.length < whole.length, text }
}

function fitting(text: string): string {
  let fits = text
  while (JSON.stringify(fits).length > MAX_TEXT_CHARS) {
    fits = fits.slice(0, Math.floor(fits.length * 0.75)).toWellFormed()
  }
  return fits
}
