import { randomBytes } from "node:crypto"

const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/**
 * Mints message ids as OpenCode does: it orders messages by id, so ours must sort between its own, and each after the
 * one before. 48 bits hold the milliseconds times 4096 and a counter, then come 14 random characters.
 */
export function messageIds(): (nowMs: number) => string {
  let last = 0n
  return (nowMs) => {
    const earliest = BigInt(nowMs) * 4096n + 1n
    last = earliest > last ? earliest : last + 1n
    const time = BigInt.asUintN(48, last)
    const tail = Array.from(randomBytes(14), (byte) => digits.charAt(byte % digits.length))
    return `msg_${time.toString(16).padStart(12, "0")}${tail.join("")}`
  }
}
