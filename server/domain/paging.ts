import * as z from "zod"
import { Invalid } from "./errors.ts"

const MAX_PAGE = 100

/** Input of every list: newest first, `cursor` from the last answer's `nextCursor`. */
export const pageInput = {
  cursor: z.string().max(200).optional(),
  limit: z.int().min(1).max(MAX_PAGE).default(50),
}

/** The answer of every list. */
export const pageSchema = <Item extends z.ZodType>(item: Item) =>
  z.object({ items: z.array(item), nextCursor: z.string().nullable() })

type Place = { createdAt: Date; id: string }

/** Bounds within which PostgreSQL can hold both. */
const cursorParts = z.tuple([
  z.coerce.number().int().nonnegative(),
  z.string().regex(/^[\x21-\x7e]+$/),
])

function readCursor(cursor: string): Place {
  const separator = cursor.indexOf("_")
  const parts = cursorParts.safeParse([cursor.slice(0, separator), cursor.slice(separator + 1)])
  const createdAt = new Date(parts.data?.[0] ?? Number.NaN)
  if (separator < 1 || !parts.success || Number.isNaN(createdAt.getTime())) {
    throw new Invalid(
      "cursor-invalid",
      "This cursor is not one from nextCursor. Start without one.",
    )
  }
  return { createdAt, id: parts.data[1] }
}

/** Newest first, ids breaking ties. */
export const NEWEST_FIRST = [{ createdAt: "desc" }, { id: "desc" }] as const

/** Rows after the cursor; the plain upper bound lets the index seek there. */
export function afterCursor(cursor: string | undefined) {
  if (cursor === undefined) return []
  const { createdAt, id } = readCursor(cursor)
  return [
    { createdAt: { lte: createdAt } },
    { OR: [{ createdAt: { lt: createdAt } }, { createdAt, id: { lt: id } }] },
  ]
}

/** Makes the answer of `limit + 1` rows read. */
export function toPage<Row extends Place, Item>(
  rows: Row[],
  limit: number,
  toItem: (row: Row) => Item,
): { items: Item[]; nextCursor: string | null } {
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  const nextCursor = rows.length > limit && last ? `${last.createdAt.getTime()}_${last.id}` : null
  return { items: shown.map(toItem), nextCursor }
}
