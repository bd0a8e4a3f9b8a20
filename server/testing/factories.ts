import { randomUUID } from "node:crypto"
import type { LogItem } from "#protocol/call"
import type { DraftEntry } from "#protocol/entry"
import { promptIdSchema, sessionIdSchema } from "#protocol/ids"
import type { Report, TerminalState } from "#protocol/work"
import type { Actor, SystemContext } from "../domain/context.ts"
import { claimForRoom } from "../domain/dispatch/index.ts"
import { createSession, type SessionShape } from "../domain/sessions/index.ts"
import { ingestLog } from "../domain/timeline/index.ts"
import { actingAs, type TestContext, type TestSystem } from "./context.ts"

/** A new team with one owner, who may do everything. */
export async function createOwner(system: SystemContext, name = "Ada"): Promise<Actor> {
  const team = await system.db.team.create({ data: { id: system.mint("team"), name: "Team" } })
  return createMember(system, team.id, { name, role: "owner" })
}

/** One more person of a team. */
export async function createMember(
  system: SystemContext,
  teamId: string,
  { name = "Grace", role = "member" }: { name?: string; role?: Actor["role"] } = {},
): Promise<Actor> {
  const user = await system.db.user.create({ data: { id: system.mint("usr"), name } })
  await system.db.member.create({ data: { teamId, userId: user.id, role } })
  return { userId: user.id, name, teamId, role, scopes: ["read", "write", "admin"] }
}

export async function createContext(system: TestSystem): Promise<TestContext> {
  return actingAs(system, await createOwner(system))
}

export const newPromptId = () => promptIdSchema.parse(`prm_${randomUUID().replaceAll("-", "")}`)

export const newSession = (ctx: TestContext, prompt = "Fix the failing test") =>
  createSession(ctx, { repoUrl: "file:///srv/git/project", prompt })

/** Plays the room of a session: numbers entries and reports, and posts them as a room does. */
export class TestRoom {
  readonly sessionId: string
  readonly #ctx: SystemContext
  readonly #firstSeqs = new Map<string, number>()
  epoch = 1_790_000_000_000
  generation = 1
  seq = 0

  constructor(ctx: SystemContext, { id }: Pick<SessionShape, "id">) {
    this.#ctx = ctx
    this.sessionId = id
  }

  /** Posts the items as one piece of the log. */
  post(...items: ({ entry: DraftEntry } | { report: Report })[]) {
    const from = this.seq
    return this.send(
      from,
      items.map((item) => this.#number(item)),
    )
  }

  report(...reports: Report[]) {
    return this.post(...reports.map((report) => ({ report })))
  }

  /** Posts an exact piece of the log after `from`. */
  send(from: number, items: LogItem[], to = this.seq) {
    const { epoch, generation } = this
    const sessionId = sessionIdSchema.parse(this.sessionId)
    return ingestLog(this.#ctx, { post: "ingest", sessionId, epoch, generation, from, to, items })
  }

  /** The sandbox comes up and its runner connects. */
  ready() {
    return this.report(
      { type: "runner.link", generation: this.generation, state: "connected" },
      { type: "boot.ready", generation: this.generation, baseCommit: "c0ffee", branch: "main" },
    )
  }

  /** An attempt runs from its start to its end. */
  async runs(promptId: string, attempt = 1, state: TerminalState = "succeeded") {
    const ref = { promptId: promptIdSchema.parse(promptId), attempt }
    await this.report({ type: "attempt.accepted", ...ref }, { type: "attempt.running", ...ref })
    return this.report({ type: "attempt.ended", ...ref, state, error: null })
  }

  #number(item: { entry: DraftEntry } | { report: Report }): LogItem {
    const seq = ++this.seq
    if ("report" in item) return { seq, report: item.report }
    const firstSeq = this.#firstSeqs.get(item.entry.key) ?? seq
    this.#firstSeqs.set(item.entry.key, firstSeq)
    const at = this.#ctx.now().toISOString()
    return { seq, entry: { ...item.entry, seq, firstSeq, at } }
  }
}

/** A session whose first prompt has succeeded: its sandbox is up and idle. */
export async function idleSession(
  ctx: TestContext,
): Promise<{ session: SessionShape; room: TestRoom; firstPromptId: string }> {
  const session = await newSession(ctx)
  const room = new TestRoom(ctx, session)
  await room.ready()
  const firstPromptId = await claimFirst(ctx, session.id)
  await room.runs(firstPromptId)
  return { session, room, firstPromptId }
}

/** Claims the head of the queue as the room does, and answers its prompt's id. */
export async function claimFirst(ctx: TestContext, sessionId: string): Promise<string> {
  const { generation } = await ctx.db.session.findUniqueOrThrow({ where: { id: sessionId } })
  const result = await claimForRoom(ctx, {
    post: "claim-next",
    sessionId: sessionIdSchema.parse(sessionId),
    generation,
  })
  if (result.kind === "stale" || !result.claim) throw new Error("nothing was claimed")
  return result.claim.promptId
}
