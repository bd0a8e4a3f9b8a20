import type { Transaction } from "../../db.ts"

/** Position behind every prompt of the session. */
export async function tailPosition(tx: Transaction, sessionId: string): Promise<number> {
  const { _max } = await tx.prompt.aggregate({ where: { sessionId }, _max: { position: true } })
  return Math.floor(_max.position ?? 0) + 1
}

/** Position before every queued prompt of the session. */
export async function headPosition(tx: Transaction, sessionId: string): Promise<number> {
  const { _min } = await tx.prompt.aggregate({
    where: { sessionId, state: "queued" },
    _min: { position: true },
  })
  return _min.position === null ? tailPosition(tx, sessionId) : Math.ceil(_min.position) - 1
}
