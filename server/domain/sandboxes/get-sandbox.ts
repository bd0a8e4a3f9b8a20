import * as z from "zod"
import { failureSchema } from "#protocol/entry"
import { sessionIdSchema } from "#protocol/ids"
import { runnerLinkSchema } from "#protocol/viewer"
import type { Sandbox } from "../../../prisma/generated/client.ts"
import { findSession } from "../access/index.ts"
import type { DomainContext } from "../context.ts"
import { readPhases, sandboxPhaseSchema } from "./phases.ts"

export const getSandboxInput = z.strictObject({ sessionId: sessionIdSchema })

const instant = z.iso.datetime()

export const sandboxSchema = z.object({
  sessionId: z.string(),
  generation: z.int(),
  provider: z.string(),
  state: z.enum(["requested", "starting", "ready", "stopping", "stopped"]),
  /** Whether the machine's runner is connected to the room, and since when it is so. */
  link: runnerLinkSchema,
  linkSince: instant,
  phases: z.array(sandboxPhaseSchema),
  error: failureSchema.nullable(),
  createdAt: instant,
  startedAt: instant.nullable(),
  readyAt: instant.nullable(),
  stoppedAt: instant.nullable(),
})

/** The session's newest sandbox, or null when it never had one. */
export async function getSandbox(
  ctx: DomainContext,
  { sessionId }: { sessionId: string },
): Promise<z.infer<typeof sandboxSchema> | null> {
  await findSession(ctx, sessionId)
  const newest = await ctx.db.sandbox.findFirst({
    where: { sessionId },
    orderBy: { generation: "desc" },
  })
  return newest && toSandbox(newest)
}

function toSandbox(row: Sandbox): z.infer<typeof sandboxSchema> {
  return {
    sessionId: row.sessionId,
    generation: row.generation,
    provider: row.provider,
    state: row.state,
    link: row.link,
    linkSince: row.linkSince.toISOString(),
    phases: readPhases(row.phases),
    error: failureSchema.nullable().parse(row.error),
    createdAt: row.createdAt.toISOString(),
    startedAt: row.startedAt?.toISOString() ?? null,
    readyAt: row.readyAt?.toISOString() ?? null,
    stoppedAt: row.stoppedAt?.toISOString() ?? null,
  }
}
