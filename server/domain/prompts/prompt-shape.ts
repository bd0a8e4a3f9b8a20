import * as z from "zod"
import { authorSchema, failureSchema, promptStateSchema } from "#protocol/entry"
import type { Prompt } from "../../../prisma/generated/client.ts"

const instant = z.iso.datetime()

/** A prompt as the API gives it. */
export const promptSchema = z.object({
  id: z.string(),
  sessionId: z.string(),
  text: z.string(),
  mode: z.enum(["queue", "steer"]),
  author: authorSchema,
  model: z.string(),
  agent: z.string(),
  /** Order in the queue; smaller runs first. */
  position: z.number(),
  state: promptStateSchema,
  error: failureSchema.nullable(),
  /** Number of its newest attempt, 0 before the first. */
  attempt: z.int(),
  createdAt: instant,
  startedAt: instant.nullable(),
  endedAt: instant.nullable(),
})
export type PromptShape = z.infer<typeof promptSchema>

/** What has to be read with a row for {@link toPrompt}. */
export const withAuthor = { author: { select: { id: true, name: true } } } as const

export function toPrompt(row: Prompt & { author: { id: string; name: string } }): PromptShape {
  return {
    id: row.id,
    sessionId: row.sessionId,
    text: row.text,
    mode: row.mode,
    author: row.author,
    model: row.model,
    agent: row.agent,
    position: row.position,
    state: row.state,
    error: failureSchema.nullable().parse(row.error),
    attempt: row.attempt,
    createdAt: row.createdAt.toISOString(),
    startedAt: row.startedAt?.toISOString() ?? null,
    endedAt: row.endedAt?.toISOString() ?? null,
  }
}
