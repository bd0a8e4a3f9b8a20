import * as z from "zod"
import { changedFileSchema } from "#protocol/entry"
import { findSession } from "../access/index.ts"
import type { DomainContext } from "../context.ts"
import { currentDiff } from "./current-diff.ts"

export const changesSummarySchema = z.object({
  base: z.string(),
  files: z.array(changedFileSchema),
  additions: z.int(),
  deletions: z.int(),
})

/** The changed files with their line counts, without patches. */
export async function changesSummary(
  ctx: DomainContext,
  { sessionId }: { sessionId: string },
): Promise<z.infer<typeof changesSummarySchema>> {
  const { base, files } = await currentDiff(ctx, await findSession(ctx, sessionId))
  return {
    base,
    files: files.map(({ patch: _, binary: __, ...file }) => file),
    additions: files.reduce((sum, file) => sum + file.additions, 0),
    deletions: files.reduce((sum, file) => sum + file.deletions, 0),
  }
}
