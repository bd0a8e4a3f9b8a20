import * as z from "zod"
import { authorSchema, sessionStatusSchema } from "#protocol/entry"
import type { Session } from "../../../prisma/generated/client.ts"

const instant = z.iso.datetime()

/** A session as the API gives it; instants are ISO 8601, money is micro-dollars. */
export const sessionSchema = z.object({
  id: z.string(),
  teamId: z.string(),
  title: z.string(),
  status: sessionStatusSchema,
  /** A sentence: what it does, or waits for. */
  statusReason: z.string(),
  statusSince: instant,
  repoUrl: z.string(),
  /**
   * The branch or tag that the work starts from. Null until that is known, and where it starts on none: in an empty
   * repository, or where the repository's HEAD is a commit.
   */
  branch: z.string().nullable(),
  baseCommit: z.string().nullable(),
  model: z.string(),
  agent: z.string(),
  createdBy: authorSchema,
  createdAt: instant,
  lastActivityAt: instant,
  endedAt: instant.nullable(),
  archivedAt: instant.nullable(),
  /** Number of the newest sandbox. */
  generation: z.int(),
  costMicros: z.int(),
})
export type SessionShape = z.infer<typeof sessionSchema>

/** What has to be read with a row for {@link toSession}. */
export const withCreator = { createdBy: { select: { id: true, name: true } } } as const

export function toSession(
  row: Session & { createdBy: { id: string; name: string } },
): SessionShape {
  return {
    id: row.id,
    teamId: row.teamId,
    title: row.title,
    status: row.status,
    statusReason: row.statusReason,
    statusSince: row.statusSince.toISOString(),
    repoUrl: row.repoUrl,
    branch: row.branch,
    baseCommit: row.baseCommit,
    model: row.model,
    agent: row.agent,
    createdBy: row.createdBy,
    createdAt: row.createdAt.toISOString(),
    lastActivityAt: row.lastActivityAt.toISOString(),
    endedAt: row.endedAt?.toISOString() ?? null,
    archivedAt: row.archivedAt?.toISOString() ?? null,
    generation: row.generation,
    costMicros: Number(row.costMicros),
  }
}
