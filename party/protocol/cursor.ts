import * as z from "zod"

/**
 * A place in a session's log. `epoch` is the birth of the room's storage in milliseconds (a wiped room gets a new
 * one); `seq` is the number of the last item held.
 */
export type Cursor = { epoch: number; seq: number }

export const START: Cursor = { epoch: 0, seq: 0 }

/** `"epoch:seq"`, or `"0"` for the beginning. */
export const cursorSchema = z
  .string()
  .regex(/^(0|\d{1,15}:\d{1,15})$/, 'must be "0" or a cursor such as "1790000000000:42"')

export function formatCursor({ epoch, seq }: Cursor): string {
  return `${epoch}:${seq}`
}

/** Reads what {@link cursorSchema} accepts. */
export function parseCursor(text: string): Cursor {
  if (text === "0") return START
  const [epoch, seq] = text.split(":").map(Number)
  return { epoch: epoch ?? 0, seq: seq ?? 0 }
}
