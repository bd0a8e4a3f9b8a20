import type { DraftEntryOf } from "../../protocol/entry.ts"
import type { PromptId, TeamId } from "../../protocol/ids.ts"
import type { TicketClaims } from "../../protocol/token.ts"
import type { Claim } from "../../protocol/work.ts"
import { SESSION, type World } from "./world.ts"

export const TEAM = "team_0123456789" as TeamId

export const promptId = (name: string) => name as PromptId

export function claimOf(name: string, changes: Partial<Claim> = {}): Claim {
  const id = promptId(name)
  return {
    promptId: id,
    attempt: 1,
    generation: 1,
    turnId: id,
    text: `please do ${name}`,
    author: { id: "usr_ada00000", name: "Ada" },
    attachments: [],
    model: "scripted/tour",
    agent: "build",
    deadlines: { acceptMs: 5_000, startMs: 30_000, silenceMs: 120_000, turnMs: 3_600_000 },
    ...changes,
  }
}

export function textOf(
  key: string,
  turn: string,
  text: string,
  changes: Partial<DraftEntryOf<"text">> = {},
): DraftEntryOf<"text"> {
  return { key, turnId: promptId(turn), kind: "text", text, done: false, ...changes }
}

export function toolOf(
  key: string,
  turn: string,
  changes: Partial<DraftEntryOf<"tool">> = {},
): DraftEntryOf<"tool"> {
  return {
    key,
    turnId: promptId(turn),
    kind: "tool",
    name: "bash",
    title: "npm test",
    input: { command: "npm test" },
    state: "running",
    output: "",
    truncated: false,
    bytes: 0,
    startedAt: "2026-11-22T12:00:00.000Z",
    endedAt: null,
    ...changes,
  }
}

export function ticketOf(world: World, changes: Partial<TicketClaims> = {}): TicketClaims {
  return {
    sub: "usr_ada00000",
    jti: world.newId("grant"),
    exp: Math.floor(world.now / 1_000) + 60,
    name: "Ada",
    role: "operate",
    ...changes,
  }
}

export const runnerOf = (generation: number) => ({ sub: SESSION, gen: generation })
