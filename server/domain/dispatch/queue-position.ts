import { sql, type Transaction } from "../../db.ts"

/** Position before every queued prompt of the session, but behind steers that were sent before `sentAt`. */
export async function headPosition(
  tx: Transaction,
  sessionId: string,
  sentAt?: Date,
): Promise<number> {
  const place = sqlHead(sessionId, sentAt)
  const [row] = await tx.$queryRaw<{ position: number }[]>`select ${place} as position`
  if (!row) throw new Error("PostgreSQL answered a scalar query without a row.")
  return row.position
}

/** Position behind every prompt of the session, as a piece of the query that writes the prompt. */
export const sqlTail = (sessionId: string) => sql`(
  select coalesce(floor(max(position)), 0) + 1 from "Prompt" where "sessionId" = ${sessionId})`

/** {@link headPosition} as a piece of the query that writes the prompt. */
export function sqlHead(sessionId: string, sentAt: Date = new Date(0)) {
  return sql`(
    with queued as (
      select position, mode = 'steer' and "createdAt" < ${sentAt}::timestamptz as earlier
        from "Prompt" where "sessionId" = ${sessionId} and state = 'queued'),
    place as (
      select (select max(position) from queued where earlier) as behind)
    select case
             when behind is null then coalesce(ceil(min(position)) - 1, ${sqlTail(sessionId)})
             else coalesce((behind + min(position) filter (where position > behind)) / 2, behind + 1)
           end
      from place left join queued on true group by behind)`
}
