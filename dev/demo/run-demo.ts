import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import type { Entry } from "#protocol/entry"
import { promptKey } from "#protocol/entry"
import type { SessionLog } from "#protocol/session-log"
import { apiClient } from "../../server/client.ts"
import type { StackLine } from "../stack/stack.ts"
import { watchSession } from "../watch-session.ts"
import { checkTests } from "./check-tests.ts"
import { demoPrompt } from "./prompt.ts"
import { makeRepository, type TestRun } from "./repository.ts"
import { Transcript } from "./transcript.ts"

const TURN_DEADLINE_MS = 5 * 60_000

export type DemoResult = {
  ok: boolean
  /** A sentence when it is not ok. */
  why: string | null
  sessionId: string
  promptState: string
  testsBefore: "passed" | "failed"
  testsAfter: "passed" | "failed"
  /** How many tests ran over what the agent left. */
  testsRun: number
  diff: string
  entries: number
  /** Times in milliseconds, as measured by this client and by the platform. */
  boot: { phase: string; durationMs: number | null }[]
  createMs: number
  firstEntryMs: number | null
  firstWordMs: number | null
  turnMs: number
}

/** The main job, seen from outside: create a session, watch it, read its diff, run the repository's own tests. */
export async function runDemo(
  stack: StackLine,
  model: string,
  write: (text: string) => void,
): Promise<DemoResult> {
  const api = apiClient(stack)
  const repository = join(stack.home, "demo-repository")
  await mkdir(repository, { recursive: true })
  const repoUrl = await makeRepository(repository)

  const startedAt = performance.now()
  const since = () => Math.round(performance.now() - startedAt)
  const session = await api.session.create.mutate({ repoUrl, prompt: demoPrompt(model), model })
  const createMs = since()
  const sessionId = session.id
  write(`Session ${sessionId} on ${repoUrl}\n`)

  const times: { firstEntryMs: number | null; firstWordMs: number | null } = {
    firstEntryMs: null,
    firstWordMs: null,
  }
  const transcript = new Transcript(write)
  const watch = await watchSession(
    {
      connect: () => api.session.connect.mutate({ sessionId }),
      page: (cursor, limit) => api.timeline.page.query({ sessionId, since: cursor, limit }),
    },
    (_, log) => {
      if (log.changed.length > 0) times.firstEntryMs ??= since()
      if (agentSpoke(log)) times.firstWordMs ??= since()
      transcript.show(log)
    },
  )
  try {
    await watch.until("the prompt's end", (log) => promptEnded(log) !== null, TURN_DEADLINE_MS)
    transcript.end()
    const turnMs = since()
    const promptState = promptEnded(watch.log) ?? "unknown"
    const tests = await checkTests(repository, join(stack.home, "sandboxes", sessionId))
    const why = whyNot(promptState, tests)
    const diff = await api.changes.diff.query({ sessionId })
    const sandbox = await api.sandbox.get.query({ sessionId })
    return {
      ok: why === null,
      why,
      sessionId,
      promptState,
      testsBefore: tests.before.passed ? "passed" : "failed",
      testsAfter: tests.after.passed ? "passed" : "failed",
      testsRun: tests.after.count,
      diff: diff.files.map((file) => file.patch).join("\n"),
      entries: watch.log.entries.size,
      boot: (sandbox?.phases ?? []).map(({ phase, durationMs }) => ({ phase, durationMs })),
      createMs,
      ...times,
      turnMs,
    }
  } finally {
    watch.close()
  }
}

/** Why a demo is no success, as a sentence, or null when it is one. */
function whyNot(promptState: string, { before, after }: { before: TestRun; after: TestRun }) {
  if (promptState !== "succeeded") return `The prompt ended as ${promptState}.`
  if (before.passed) return "The repository's tests passed before the agent began."
  if (after.count < before.count) {
    return `Only ${after.count} of the repository's ${before.count} tests ran over what the agent left.`
  }
  return after.passed ? null : "The repository's tests fail over what the agent left."
}

function promptEnded(log: SessionLog): string | null {
  for (const entry of log.entries.values()) {
    if (entry.kind !== "prompt" || entry.key !== promptKey(entry.promptId)) continue
    if (entry.state !== "dispatched" && entry.state !== "running") return entry.state
  }
  return null
}

function agentSpoke(log: SessionLog): boolean {
  const spoken = (entry: Entry | undefined) =>
    (entry?.kind === "text" || entry?.kind === "reasoning") && entry.text !== ""
  return log.changed.some((key) => spoken(log.entries.get(key)))
}
