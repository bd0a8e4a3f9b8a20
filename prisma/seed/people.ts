import type { Database } from "../../server/db.ts"

/** The team and the person that a local stack signs in as (dev/stack/dev-identity.ts). */
export const DEV_TEAM = { id: "team_0000000000dev", name: "Dev" }
export const OTHER_TEAM = { id: "team_000000000seed", name: "Platform" }
export const DEV = { id: "usr_0000000000dev", name: "Dev" }
const ADA = { id: "usr_0000000seedada", name: "Ada", email: "ada@example.com" }
export const GRACE = { id: "usr_00000seedgrace", name: "Grace", email: "grace@example.com" }

const MEMBERS = [
  { teamId: DEV_TEAM.id, userId: DEV.id, role: "owner" },
  { teamId: DEV_TEAM.id, userId: ADA.id, role: "member" },
  { teamId: DEV_TEAM.id, userId: GRACE.id, role: "viewer" },
  { teamId: OTHER_TEAM.id, userId: GRACE.id, role: "owner" },
  { teamId: OTHER_TEAM.id, userId: ADA.id, role: "viewer" },
] as const

/** Two teams and the three roles; what is there already stays as it is. */
export async function seedPeople(db: Database): Promise<void> {
  await db.user.createMany({ data: [DEV, ADA, GRACE], skipDuplicates: true })
  await db.team.createMany({ data: [DEV_TEAM, OTHER_TEAM], skipDuplicates: true })
  await db.member.createMany({ data: [...MEMBERS], skipDuplicates: true })
}
