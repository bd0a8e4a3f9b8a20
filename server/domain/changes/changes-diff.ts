import * as z from "zod"
import { sessionIdSchema } from "#protocol/ids"
import type { Diff } from "#protocol/work"
import { findSession } from "../access/index.ts"
import type { DomainContext } from "../context.ts"
import { currentDiff } from "./current-diff.ts"

export const changesInput = z.strictObject({ sessionId: sessionIdSchema })

/** All that the session has changed, with patches. */
export async function changesDiff(
  ctx: DomainContext,
  { sessionId }: { sessionId: string },
): Promise<Diff> {
  return currentDiff(ctx, await findSession(ctx, sessionId))
}
