import * as z from "zod"
import { type Diff, diffSchema, fileDiffSchema } from "#protocol/work"
import type { Session } from "../../../prisma/generated/client.ts"
import type { DomainContext } from "../context.ts"
import { askSandbox } from "./ask-sandbox.ts"

const filesSchema = z.array(fileDiffSchema)

/**
 * The workspace's diff against its base: asked of the sandbox while it is up, else as the newest turn left it. Throws
 * what a sandbox says that cannot read its workspace: an older diff in its place would look like the workspace's.
 */
export async function currentDiff(ctx: DomainContext, session: Session): Promise<Diff> {
  const live = await askSandbox(ctx, session, { name: "diff" }, diffSchema)
  if (live.kind === "answered") return live.value
  if (live.kind === "refused") throw live.error
  const stored = await ctx.db.turnDiff.findFirst({
    where: { sessionId: session.id },
    orderBy: { seq: "desc" },
  })
  if (!stored) return { base: session.baseCommit ?? "", files: [], truncated: false }
  const { base, truncated } = stored
  return { base, truncated, files: filesSchema.parse(stored.files) }
}
