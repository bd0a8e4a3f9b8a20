import { existsSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as z from "zod"
import { openJournal } from "../../runner/src/journal.ts"

const timeSchema = z.object({ end: z.number().optional() }).optional()

const partSchema = z.discriminatedUnion("type", [
  z.object({ type: z.enum(["text", "reasoning"]), text: z.string(), time: timeSchema }),
  z.object({
    type: z.literal("tool"),
    tool: z.string(),
    state: z.object({ status: z.string(), output: z.string().optional() }),
  }),
  z.object({ type: z.enum(["step-start", "step-finish", "snapshot", "patch", "compaction"]) }),
])

const messageSchema = z.object({
  role: z.enum(["user", "assistant"]),
  /** Set on a condensed conversation, which is for the model alone. */
  summary: z.unknown().optional(),
})

const rowSchema = z.object({ id: z.string(), part: z.string(), message: z.string() })

export type AgentPart = z.infer<typeof partSchema> & { id: string }

/** What the agent itself has stored of its answers, oldest part first, read beside the running agent. */
export function agentParts(sandbox: string): AgentPart[] {
  const database = join(sandbox, "home/.local/share/opencode/opencode.db")
  const journal = join(sandbox, "state/journal.json")
  if (!existsSync(database)) return []
  const agentSessionId = openJournal(journal, () => undefined).read()?.agentSessionId ?? null
  const store = new DatabaseSync(database, { readOnly: true })
  try {
    const rows = store
      .prepare(
        `SELECT part.id, part.data AS part, message.data AS message FROM part
         JOIN message ON message.id = part.message_id
         WHERE part.session_id = ? ORDER BY message.id, part.id`,
      )
      .all(agentSessionId)
    return z
      .array(rowSchema)
      .parse(rows)
      .filter(({ message }) => isAnswer(message))
      .map(({ id, part }) => ({ ...partSchema.parse(JSON.parse(part)), id }))
  } finally {
    store.close()
  }
}

function isAnswer(message: string): boolean {
  const { role, summary } = messageSchema.parse(JSON.parse(message))
  return role === "assistant" && summary !== true
}
