import * as z from "zod"
import type { DomainContext } from "../context.ts"

export const viewerSchema = z.object({
  user: z.object({ id: z.string(), name: z.string(), email: z.string().nullable() }),
  /** Sign-in providers linked to the account. */
  providers: z.array(z.string()),
  teams: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      role: z.enum(["owner", "member", "viewer"]),
      /** The team that this request acts in. */
      current: z.boolean(),
    }),
  ),
})

/** Who asks, and the teams they belong to. */
export async function viewerMe(ctx: DomainContext): Promise<z.infer<typeof viewerSchema>> {
  const { userId, teamId } = ctx.actor
  const user = await ctx.db.user.findUniqueOrThrow({
    where: { id: userId },
    include: { members: { include: { team: true }, orderBy: { createdAt: "asc" } } },
  })
  return {
    user: { id: user.id, name: user.name, email: user.email },
    providers: [],
    teams: user.members.map(({ team, role }) => ({
      id: team.id,
      name: team.name,
      role,
      current: team.id === teamId,
    })),
  }
}
