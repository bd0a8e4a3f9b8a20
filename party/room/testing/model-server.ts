import type { RoomPost, RoomPostOf } from "../../protocol/call.ts"
import { formatCursor } from "../../protocol/cursor.ts"
import type { Entry } from "../../protocol/entry.ts"
import type { Claim, Report, TerminalState } from "../../protocol/work.ts"
import type { PostResult } from "../input.ts"
import { TEAM } from "./samples.ts"
import type { World } from "./world.ts"

type Attempt = { claim: Claim; accepted: boolean; state: "dispatched" | "returned" | TerminalState }

/** PostgreSQL and the server, as far as a room can see them: ingest, claims, fences. */
export class ModelServer {
  epoch = 0
  ingestedSeq = 0
  generation = 0
  readonly entries = new Map<string, Entry>()
  readonly reports: { seq: number; report: Report }[] = []
  readonly queue: Claim[] = []
  readonly attempts: Attempt[] = []
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  /** Fences a new generation in, as the start of a sandbox does. */
  fence(): void {
    this.generation += 1
    const open = this.attempts.filter(({ state }) => state === "dispatched")
    const answer = this.#world.call({
      call: "fence",
      generation: this.generation,
      teamId: TEAM,
      known: formatCursor({ epoch: this.epoch, seq: this.ingestedSeq }),
      reason: { reason: "sandbox-lost", message: "The sandbox was lost." },
    })
    if (!answer.ok) throw new Error(`fence was refused: ${answer.error.reason}`)
    // A claim that never reached the room has not run anywhere.
    for (const attempt of open) {
      const { promptId, attempt: number } = attempt.claim
      if (this.#world.store.lastAttempt(promptId) < number) attempt.state = "interrupted"
    }
  }

  /** Claims a prompt for the turn of the accepted attempt, else queues it first. The room may not be told. */
  steer(wish: Claim, told: boolean): void {
    const host = this.#live()
    if (!host?.accepted) return void this.queue.unshift(wish)
    const { promptId, attempt, turnId } = host.claim
    const claim = { ...wish, generation: this.generation, turnId, steers: { promptId, attempt } }
    this.attempts.push({ claim, accepted: false, state: "dispatched" })
    if (told) this.#world.call({ call: "run", claim })
  }

  /** Answers the oldest post. It may fail, or do its work without the room learning of it. */
  answer(fate: "works" | "fails" | "answer-lost" = "works"): void {
    const post = this.#world.posts.shift()
    if (!post) return
    const failed = { ok: false as const, reason: "server-late", stale: null }
    if (post.post === "ingest") {
      const worked = fate === "fails" ? failed : this.#guard(post, () => this.#ingest(post))
      const result = fate === "answer-lost" ? failed : worked
      this.#world.input({ type: "posted", post: "ingest", result })
    } else {
      const worked = fate === "fails" ? failed : this.#guard(post, () => ({ claim: this.#claim() }))
      const result = fate === "answer-lost" ? failed : worked
      this.#world.input({ type: "posted", post: "claim-next", result })
    }
  }

  /** A post of an older generation or epoch is answered 409. */
  #guard<Value>(post: RoomPost, work: () => Value): PostResult<Value> {
    const { generation, epoch } = this
    const isStale = post.generation < generation || (post.post === "ingest" && post.epoch < epoch)
    return isStale
      ? { ok: false, reason: "stale", stale: { generation, epoch, reason: null } }
      : { ok: true, ...work() }
  }

  #ingest({ epoch, from, to, items }: RoomPostOf<"ingest">) {
    if (from > this.ingestedSeq)
      throw new Error(`ingest leaves a gap: ${this.ingestedSeq}, ${from}`)
    let last = from
    for (const item of items) {
      if (item.seq <= last || item.seq > to)
        throw new Error("a batch is in order and within bounds")
      last = item.seq
      if (item.seq <= this.ingestedSeq) continue
      if ("entry" in item) this.#upsert(item.entry)
      else this.#takeReport(item.seq, item.report)
    }
    this.epoch = epoch
    this.ingestedSeq = Math.max(this.ingestedSeq, to)
    return { ingestedSeq: this.ingestedSeq }
  }

  #upsert(entry: Entry): void {
    const known = this.entries.get(entry.key)
    this.entries.set(entry.key, { ...entry, firstSeq: known?.firstSeq ?? entry.firstSeq })
  }

  #takeReport(seq: number, report: Report): void {
    this.reports.push({ seq, report })
    if (!("attempt" in report) || report.type === "model.usage") return
    const attempt = this.attempts.find(
      ({ claim }) => claim.promptId === report.promptId && claim.attempt === report.attempt,
    )
    if (!attempt) throw new Error(`[I4] ${report.promptId} was never claimed`)
    if (report.type === "attempt.accepted") attempt.accepted = true
    if (report.type !== "attempt.ended" && report.type !== "attempt.returned") return
    if (attempt.state !== "dispatched") throw new Error(`[I4] ${report.promptId} ended twice`)
    attempt.state = report.type === "attempt.ended" ? report.state : "returned"
    if (attempt.state === "returned") this.#requeue(attempt.claim)
  }

  #requeue({ steers, ...claim }: Claim): void {
    if (!steers) throw new Error(`[D14] ${claim.promptId} was returned and is no steer`)
    this.queue.unshift({ ...claim, attempt: claim.attempt + 1, turnId: claim.promptId })
  }

  #live(): Attempt | undefined {
    return this.attempts.find(({ claim, state }) => state === "dispatched" && !claim.steers)
  }

  #claim(): Claim | null {
    const live = this.#live() ?? this.attempts.find(({ state }) => state === "dispatched")
    if (live) return live.claim
    const next = this.queue.shift()
    if (!next) return null
    const claim = { ...next, generation: this.generation }
    this.attempts.push({ claim, accepted: false, state: "dispatched" })
    return claim
  }
}
