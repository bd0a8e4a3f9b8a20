import type { Failure } from "#protocol/entry"
import type { SandboxSpec } from "#protocol/sandbox-spec"
import type { Session } from "../../../prisma/generated/client.ts"
import { modelCatalogue } from "../../domain/models/index.ts"
import { claimStart } from "../../domain/sandboxes/claim-start.ts"
import { failSandbox } from "../../domain/sandboxes/fail-sandbox.ts"
import { interruption, interruptionBefore } from "../../domain/sandboxes/interruption.ts"
import { noteRooms } from "../../domain/sandboxes/note-rooms.ts"
import { recordMachine } from "../../domain/sandboxes/record-machine.ts"
import type { SandboxRef } from "../../domain/sandboxes/sandbox-ref.ts"
import { SandboxError } from "../../sandbox/provider.ts"
import { buildSpec } from "../../sandbox/spec.ts"
import { RoomUnreachable } from "../call-room.ts"
import type { JobContext, JobHandler } from "../context.ts"
import { fenceRoom } from "../fence-room.ts"
import { addJob } from "../queue.ts"
import { Late, within } from "../within.ts"

/** How soon a sandbox that found no free place, or no rooms, looks again. */
const POLL_MS = 1_000
/** Time that a provider has to clean up after its create was aborted. */
const ABORT_GRACE_MS = 2_000

/** Makes the machine of a requested sandbox. Whether it becomes ready, its runner reports and the deadline watches. */
export const startSandbox: JobHandler<"start-sandbox"> = async (ctx, ref) => {
  const claim = await claimStart(ctx, ref, ctx.sandboxes.maxStarting)
  switch (claim.kind) {
    case "pointless":
      return
    case "wait":
      return lookAgain(ctx, ref)
    case "start":
      return start(ctx, ref, claim.session)
  }
}

async function start(ctx: JobContext, ref: SandboxRef, session: Session): Promise<void> {
  let refusal: Failure | null
  try {
    const reason = (await interruptionBefore(ctx.db, ref)) ?? NEXT_SANDBOX
    refusal = await fenceRoom(ctx, ref, reason)
  } catch (error) {
    if (!(error instanceof RoomUnreachable)) throw error
    ctx.log.warn("sandbox.rooms.unreachable", { session_id: ref.sessionId, message: error.message })
    await noteRooms(ctx, ref, { areAway: true })
    return lookAgain(ctx, ref)
  }
  await noteRooms(ctx, ref, { areAway: false })
  if (refusal) return failSandbox(ctx, ref, refusal)
  await makeMachine(ctx, ref, await specOf(ctx, session, ref.generation))
}

function lookAgain(ctx: JobContext, ref: SandboxRef): Promise<void> {
  return addJob(ctx.db, "start-sandbox", ref, {
    jobKey: `start-sandbox:${ref.sessionId}:${ref.generation}`,
    runAt: new Date(ctx.now().getTime() + POLL_MS),
  })
}

const NEXT_SANDBOX = interruption({
  reason: "sandbox-replaced",
  message: "The sandbox that ran this prompt was replaced.",
})

function specOf(ctx: JobContext, session: Session, generation: number): Promise<SandboxSpec> {
  const { roomsUrl, phases } = ctx.sandboxes
  const request = {
    sessionId: session.id,
    generation,
    repoUrl: session.repoUrl,
    branch: session.branch,
    roomsUrl,
    models: modelCatalogue(ctx.settings),
    deadlines: phases,
  }
  return buildSpec(ctx.signingKey, request, ctx.now())
}

async function makeMachine(ctx: JobContext, ref: SandboxRef, spec: SandboxSpec): Promise<void> {
  const { createMs } = ctx.sandboxes
  try {
    const signal = AbortSignal.timeout(createMs)
    await within(createMs + ABORT_GRACE_MS, "create", ctx.provider.create(spec, { signal }))
  } catch (error) {
    const failure = explain(error, createMs)
    ctx.log.warn("sandbox.create.failed", { session_id: ref.sessionId, ...failure, error })
    return failSandbox(ctx, ref, failure)
  }
  await recordMachine(ctx, ref)
}

function explain(error: unknown, createMs: number): Failure {
  if (error instanceof SandboxError) return { reason: error.reason, message: error.message }
  const timedOut =
    error instanceof Late || (error instanceof Error && error.name === "TimeoutError")
  return timedOut
    ? {
        reason: "sandbox-create-timeout",
        message: `The sandbox's machine was not made within ${Math.round(createMs / 1_000)} s.`,
      }
    : { reason: "sandbox-create-failed", message: "The sandbox's machine could not be made." }
}
