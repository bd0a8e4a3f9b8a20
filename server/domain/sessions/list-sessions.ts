import * as z from "zod"
import { sessionStatusSchema } from "#protocol/entry"
import { storableText } from "#protocol/text"
import type { DomainContext } from "../context.ts"
import { afterCursor, NEWEST_FIRST, pageInput, toPage } from "../paging.ts"
import { type SessionShape, toSession, withCreator } from "./session-shape.ts"

export const listSessionsInput = z.strictObject({
  ...pageInput,
  /** Part of the title or the repository's URL, in any case. */
  query: z.string().max(200).optional(),
  status: sessionStatusSchema.optional(),
})

/** The team's sessions that are not archived, newest first. */
export async function listSessions(
  ctx: DomainContext,
  { query, status, cursor, limit }: z.infer<typeof listSessionsInput>,
): Promise<{ items: SessionShape[]; nextCursor: string | null }> {
  const rows = await ctx.db.session.findMany({
    where: {
      teamId: ctx.actor.teamId,
      archivedAt: null,
      status,
      AND: [...afterCursor(cursor), ...matching(query)],
    },
    orderBy: [...NEWEST_FIRST],
    take: limit + 1,
    include: withCreator,
  })
  return toPage(rows, limit, toSession)
}

function matching(query = "") {
  const contains = storableText(query)
    .trim()
    .replace(/[\\%_]/g, "\\$&")
  if (contains === "") return []
  const text = { contains, mode: "insensitive" } as const
  return [{ OR: [{ title: text }, { repoUrl: text }] }]
}
