import type * as z from "zod"
import { MAX_RUNNER_MESSAGE_CHARS, MAX_VIEWER_MESSAGE_CHARS } from "#protocol/limits"
import { type FromRunner, fromRunnerSchema } from "#protocol/runner"
import { fromViewerSchema } from "#protocol/viewer"
import { isPlainMessage } from "./plain-message.ts"

type Decoded<Value> = { ok: true; value: Value } | { ok: false; problem: string }

export type Frame = string | ArrayBuffer | ArrayBufferView

export const decodeFromViewer = (frame: Frame) =>
  decode(fromViewerSchema, frame, MAX_VIEWER_MESSAGE_CHARS)

export const decodeFromRunner = (frame: Frame) =>
  decode<FromRunner>(fromRunnerSchema, frame, MAX_RUNNER_MESSAGE_CHARS, isPlainMessage)

/** A text frame as a message. The problem is one line: it travels as a close reason. */
function decode<Message>(
  schema: z.ZodType<Message>,
  frame: Frame,
  maxChars: number,
  isPlain?: (value: unknown) => value is Message,
): Decoded<Message> {
  if (typeof frame !== "string") return { ok: false, problem: "Messages are text." }
  if (frame.length > maxChars) {
    return { ok: false, problem: `A message may have ${maxChars} characters.` }
  }
  try {
    const value: unknown = JSON.parse(frame)
    if (isPlain?.(value)) return { ok: true, value }
    const parsed = schema.safeParse(value)
    return parsed.success
      ? { ok: true, value: parsed.data }
      : { ok: false, problem: firstProblem(parsed.error) }
  } catch (error) {
    if (error instanceof SyntaxError) return { ok: false, problem: "Messages are JSON." }
    // The stack ends before the message does.
    if (error instanceof RangeError) {
      return { ok: false, problem: "The message is nested too deeply." }
    }
    throw error
  }
}

function firstProblem(error: z.ZodError): string {
  const [issue] = error.issues
  const path = issue?.path.join(".") || "message"
  return `${path}: ${issue?.message ?? "not understood"}`
}
