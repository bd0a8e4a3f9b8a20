import { crc32 } from "node:zlib"

const CHECKSUM_CHARS = 8

/** One line of a segment: a checksum, a space, the item's JSON. */
export function encodeLine(json: string): string {
  return `${checksum(json)} ${json}\n`
}

/** The item's JSON, or null for a line that was not written whole. */
export function decodeLine(line: string): string | null {
  const json = line.slice(CHECKSUM_CHARS + 1)
  return line === `${checksum(json)} ${json}` ? json : null
}

const checksum = (json: string) => crc32(json).toString(16).padStart(CHECKSUM_CHARS, "0")
