import type { z } from "#protocol/zod"

type Decoded<Value> = { ok: true; value: Value } | { ok: false; problem: string }

/** A text frame as a message. The problem is one line: it travels as a close reason. */
export function decode<Schema extends z.ZodType>(
  schema: Schema,
  frame: string | ArrayBuffer | ArrayBufferView,
  maxChars: number,
): Decoded<z.output<Schema>> {
  if (typeof frame !== "string") return { ok: false, problem: "Messages are text." }
  if (frame.length > maxChars) {
    return { ok: false, problem: `A message may have ${maxChars} characters.` }
  }
  try {
    const parsed = schema.safeParse(JSON.parse(frame))
    return parsed.success
      ? { ok: true, value: parsed.data }
      : { ok: false, problem: firstProblem(parsed.error) }
  } catch {
    return { ok: false, problem: "Messages are JSON." }
  }
}

function firstProblem(error: z.ZodError): string {
  const [issue] = error.issues
  const path = issue?.path.join(".") || "message"
  return `${path}: ${issue?.message ?? "not understood"}`
}
