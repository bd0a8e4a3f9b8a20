import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import type { Entry } from "#protocol/entry"
import { promptKey } from "#protocol/entry"
import type { SessionLog } from "#protocol/session-log"
import { apiClient } from "../../server/client.ts"
import type { StackLine } from "../stack/stack.ts"
import { watchSession } from "../watch-session.ts"
import { demoPrompt } from "./prompt.ts"
import { git, makeRepository, runTests } from "./repository.ts"
import { Transcript } from "./transcript.ts"

const TURN_DEADLINE_MS = 5 * 60_000

export type DemoResult = {
  ok: boolean
  sessionId: string
  promptState: string
  testsBefore: "passed" | "failed"
  testsAfter: "passed" | "failed"
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
    const { before, after } = await testsInSandbox(stack.home, sessionId)
    const diff = await api.changes.diff.query({ sessionId })
    const sandbox = await api.sandbox.get.query({ sessionId })
    return {
      ok: promptState === "succeeded" && !before && after,
      sessionId,
      promptState,
      testsBefore: before ? "passed" : "failed",
      testsAfter: after ? "passed" : "failed",
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

/** The repository's tests in the session's own sandbox: at the commit the agent began with, and as the agent left it. */
async function testsInSandbox(home: string, sessionId: string) {
  const sandbox = join(home, "sandboxes", sessionId)
  const workspace = join(sandbox, "workspace")
  const before = join(sandbox, "before")
  const base = (await git(workspace, "rev-list", "--max-parents=0", "HEAD")).trim()
  await git(workspace, "worktree", "add", "--detach", "--quiet", before, base)
  try {
    return {
      before: (await runTests(before)).passed,
      after: (await runTests(workspace)).passed,
    }
  } finally {
    await git(workspace, "worktree", "remove", "--force", before)
  }
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
