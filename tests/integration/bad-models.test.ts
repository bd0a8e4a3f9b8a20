import { mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { MAX_PROMPT_CHARS, MAX_TOOL_OUTPUT_BYTES } from "#protocol/limits"
import { storableText } from "#protocol/text"
import { GitRepository } from "../../runner/src/testing/git-repository.ts"
import { FaultStack } from "../faults/fault-stack.ts"
import type { ScriptStep } from "../faults/script.ts"
import { until } from "../faults/until.ts"
import { BOOT_WITHIN_MS, bash, SessionDriver, scripted, TURN_WITHIN_MS } from "./session-driver.ts"
import { StubUpstream } from "./stub-upstream.ts"

const SILENCE_SECONDS = 10
const TURN_SECONDS = 30
const VENDOR = "compatible/house"

let root: string
let vendor: StubUpstream
let stack: FaultStack
let session: SessionDriver

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "bad-models-"))
  vendor = await StubUpstream.start()
  Object.assign(process.env, {
    COMPATIBLE_BASE_URL: `${vendor.url}/v1`,
    COMPATIBLE_MODELS: "house",
  })
  stack = await FaultStack.start({
    env: {
      TURN_START_DEADLINE_SECONDS: "40",
      TURN_SILENCE_DEADLINE_SECONDS: String(SILENCE_SECONDS),
      TURN_DEADLINE_SECONDS: String(TURN_SECONDS),
    },
  })
  const repository = new GitRepository(join(root, "project"))
  repository.write("README.md", "# Project\n")
  repository.commit()
  session = await SessionDriver.create(stack, { repoUrl: repository.url })
  await session.ended(await session.firstPromptId(), BOOT_WITHIN_MS)
}, 400_000)

afterAll(async () => {
  await stack?.stop()
  await vendor?.close()
  if (root) rmSync(root, { recursive: true, force: true })
})

const EVENT_STREAM = { "content-type": "text/event-stream" }

/** A piece of a streamed chat completion; its end without text. */
function chunk(content: string | null): string {
  const choices = [{ index: 0, delta: { content }, finish_reason: content ? null : "stop" }]
  return `data: ${JSON.stringify({ choices })}\n\n`
}

async function turnOf(promptId: string) {
  return (await session.entries()).filter(({ turnId }) => turnId === promptId)
}

async function textsOf(promptId: string) {
  return (await turnOf(promptId)).flatMap((entry) => (entry.kind === "text" ? [entry] : []))
}

describe("a model that does not answer well ends the turn with model, reason and next step", () => {
  const CASES: [string, string, ScriptStep[], string, string][] = [
    ["401", "scripted/demo", [{ httpError: 401 }], "model-refused", ""],
    ["429", "scripted/demo", [{ httpError: 429 }], "model-rate-limited", ""],
    ["500", "scripted-messages/demo", [{ httpError: 500 }], "model-unavailable", ""],
    ["silence", "scripted/demo", [{ hang: true }], "model-silent", ""],
    [
      "silence in mid-answer",
      "scripted-responses/demo",
      [{ say: "So far. " }, { hang: true }],
      "model-silent",
      "So far. ",
    ],
    [
      "a broken stream",
      "scripted/demo",
      [{ say: "So far. " }, { raw: 'data: {"broken' }],
      "model-broke-off",
      "So far. ",
    ],
    ["an empty stream", "scripted/demo", [{ raw: "" }], "model-broke-off", ""],
    ["an empty stream", "scripted-responses/demo", [{ raw: "" }], "model-broke-off", ""],
    ["an empty stream", "scripted-messages/demo", [{ raw: "" }], "model-broke-off", ""],
  ]
  test.for(CASES)("%s of %s", async ([, model, steps, reason, kept]) => {
    const promptId = await session.send(scripted(...steps), { model })
    const { state, error } = await session.ended(promptId)
    expect({ state, reason: error?.reason }).toEqual({ state: "failed", reason })
    expect(error?.message).toMatch(new RegExp(`^${model} .*(retry|choose another model).*\\.$`))
    const turn = await turnOf(promptId)
    expect(turn).toContainEqual(
      expect.objectContaining({ kind: "error", reason, message: error?.message }),
    )
    const [text] = await textsOf(promptId)
    expect(text?.text ?? "").toBe(kept)
    for (const entry of turn) if ("done" in entry) expect(entry.done).toBe(true)
    expect(await session.has("idle")).toMatchObject({ statusReason: "Waits for the next prompt." })
  })

  test("a turn without end is ended, and what it said is kept", async () => {
    const promptId = await session.send(scripted({ say: "on and ", repeat: 100_000, everyMs: 50 }))
    const { state, error } = await session.ended(promptId, 2 * TURN_SECONDS * 1_000)
    expect({ state, reason: error?.reason }).toEqual({ state: "failed", reason: "turn-too-long" })
    expect(error?.message).toContain(`${TURN_SECONDS} s`)
    const [text] = await textsOf(promptId)
    expect(text?.text.length).toBeGreaterThan(100)
  })

  test("one that says nothing at all is not asked without end", async () => {
    let calls = 0
    vendor.answer = ({ response }) => {
      calls++
      response.writeHead(200, EVENT_STREAM).end()
    }
    const end = await session.plays("Say something.", { model: VENDOR })
    expect(end).toMatchObject({ state: "failed", error: { reason: "model-broke-off" } })
    const asked = calls
    expect(asked).toBeLessThan(10)
    expect(await session.plays(scripted({ say: "Meanwhile." }))).toMatchObject({
      state: "succeeded",
    })
    expect(calls).toBe(asked)
  })

  test("once it is mended, a retry of the same prompt succeeds as its second attempt", async () => {
    vendor.answer = ({ response }) => response.writeHead(503).end("down")
    const end = await session.plays("Say something.", { model: VENDOR })
    expect(end).toMatchObject({ state: "failed", error: { reason: "model-unavailable" } })
    vendor.answer = ({ response }) =>
      response.writeHead(200, EVENT_STREAM).end(chunk("mended") + chunk(null))
    await stack.api.prompt.retry.mutate({ promptId: end.id, sessionId: session.id })
    expect(await session.ended(end.id)).toMatchObject({
      state: "succeeded",
      attempt: 2,
      error: null,
    })
    expect((await textsOf(end.id)).map(({ text }) => text)).toEqual(["mended"])
  })

  test("one whose stream breaks is asked again: what it said first is kept, and marked as replaced", async () => {
    vendor.answer = () => undefined
    const [first, promptId] = await Promise.all([
      vendor.nextCall(),
      session.send("Say something.", { model: VENDOR }),
    ])
    first.response.writeHead(200, EVENT_STREAM).write(chunk("Half an ans"))
    await until("the first half", TURN_WITHIN_MS, async () => {
      return (await textsOf(promptId)).some(({ text }) => text === "Half an ans")
    })
    vendor.answer = ({ response }) =>
      response.writeHead(200, EVENT_STREAM).end(chunk("Half an answer.") + chunk(null))
    first.response.destroy()
    expect(await session.ended(promptId)).toMatchObject({ state: "succeeded", error: null })
    expect(await textsOf(promptId)).toMatchObject([
      { text: "Half an ans", done: true, replaced: true },
      { text: "Half an answer.", done: true },
    ])
    expect((await textsOf(promptId))[1]).not.toHaveProperty("replaced")
  })

  test("after all of them the next prompt is answered", async () => {
    const promptId = await session.send(scripted({ say: "Still here." }))
    expect(await session.ended(promptId)).toMatchObject({ state: "succeeded" })
    expect((await textsOf(promptId)).map(({ text }) => text)).toEqual(["Still here."])
  })
})

describe("a prompt", () => {
  test.for([
    ["", "prompt-empty", "BAD_REQUEST"],
    [" \n\t\u3000", "prompt-empty", "BAD_REQUEST"],
    ["x".repeat(MAX_PROMPT_CHARS + 1), "prompt-too-long", "PAYLOAD_TOO_LARGE"],
    ["x".repeat(10 * 1024 * 1024), "request-too-large", "PAYLOAD_TOO_LARGE"],
  ])("that cannot be one is refused with a reason, and nothing is queued", async (wish) => {
    const [text = "", reason, code] = wish
    const before = (await session.prompts()).length
    await expect(session.send(text)).rejects.toMatchObject({ data: { reason, code } })
    const created = SessionDriver.create(stack, { repoUrl: "file:///tmp/x", prompt: text })
    await expect(created).rejects.toMatchObject({ data: { reason, code } })
    expect(await session.prompts()).toHaveLength(before)
  })

  test("for a model that nobody has names those there are", async () => {
    const refused = session.send("Hi", { model: "acme/gpt-9" })
    await expect(refused).rejects.toMatchObject({ data: { reason: "unknown-model" } })
    await expect(refused).rejects.toThrow(/acme\/gpt-9.*scripted\/demo/)
  })

  test("for an agent that nobody has fails with a sentence, and the next one runs", async () => {
    const end = await session.plays("Hi", { agent: "nobody" })
    expect(end).toMatchObject({ state: "failed", error: { reason: "agent-unknown" } })
    expect(end.error?.message).toMatch(
      /^This sandbox has no agent “nobody”\. Send .* one of those that it has: .*build.*plan.*\.$/,
    )
    expect(await session.plays(scripted({ say: "Hi." }))).toMatchObject({ state: "succeeded" })
  })

  test("of 256 KB is carried out, and comes back whole", async () => {
    const script = scripted({ say: "Long." })
    const text = script + "y".repeat(MAX_PROMPT_CHARS - script.length)
    const end = await session.plays(text)
    expect(end).toMatchObject({ state: "succeeded" })
    expect(end.text).toBe(text)
  })

  test("of NUL, lone surrogates, control characters and bidi marks is kept, shown and carried out", async () => {
    const odd =
      "\u0000\u0001\u0007\u001b[31m\ud800 \udfff \u202eabc\u2066\ufeff\u0085 💥 \r\n\u2028"
    const text = `${odd}\n${scripted({ say: odd }, bash("printf '\\000\\001\\377\\033[31mred'"), { say: "Odd." })}`
    const promptId = await session.send(text)
    const end = await session.ended(promptId)
    expect(end).toMatchObject({ state: "succeeded", text: storableText(text) })
    const turn = await turnOf(promptId)
    expect(turn).toContainEqual(
      expect.objectContaining({ kind: "prompt", text: storableText(text) }),
    )
    const [said] = await textsOf(promptId)
    expect(said?.text.trimEnd()).toBe(storableText(odd).trimEnd())
    expect((await session.outputs(promptId)).join("")).toContain("red")
    expect((await session.get()).title).not.toContain("\u0000")
  })
})

describe("a tool's output", () => {
  test.for([
    ["of 50 MB", "yes 'fifty megabytes of output, line after line' | head -c 50000000"],
    ["of one line of 5 MB", "head -c 5000000 /dev/zero | tr '\\0' 'x'"],
    ["of 5 MB of noise", "head -c 5000000 /dev/urandom"],
  ] as const)("%s is cut, says so, and the turn goes on", async ([, command]) => {
    // The agent drops what it has not yet read of a command's output when the command ends, and
    // shows of an output that is too long sometimes 50 KB and sometimes its last few lines.
    const wait = "; sleep 2"
    const promptId = await session.send(scripted(bash(command + wait), { say: "Survived." }))
    expect(await session.ended(promptId)).toMatchObject({ state: "succeeded", error: null })
    const [tool] = (await turnOf(promptId)).filter(({ kind }) => kind === "tool")
    if (tool?.kind !== "tool") throw new Error("no tool")
    expect(tool).toMatchObject({ state: "completed", truncated: true })
    expect(Buffer.byteLength(tool.output)).toBeLessThanOrEqual(MAX_TOOL_OUTPUT_BYTES)
    const [, kept = ""] = tool.output.match(/Full output saved to: (\S+)/) ?? []
    expect(tool.bytes).toBe(statSync(kept).size)
    expect(tool.bytes).toBeGreaterThan(MAX_TOOL_OUTPUT_BYTES)
    expect((await textsOf(promptId)).map(({ text }) => text)).toEqual(["Survived."])
  })

  test("of a tool that does not exist, or with a wrong input, is an error that the model sees", async () => {
    const promptId = await session.send(
      scripted(
        { tool: "teleport", input: { to: "Mars" } },
        { tool: "read", input: { filePath: 42 } },
        { tool: "read", input: { filePath: "$CWD/absent" } },
        bash("exit 3"),
        { say: "Went on." },
      ),
    )
    expect(await session.ended(promptId)).toMatchObject({ state: "succeeded" })
    const tools = (await turnOf(promptId)).filter(({ kind }) => kind === "tool")
    expect(tools).toHaveLength(4)
    for (const tool of tools) {
      if (tool.kind === "tool") expect(tool.endedAt).not.toBeNull()
    }
  })
})

test("nothing is left behind when all is over: every prompt has ended, every entry is closed", async () => {
  for (const { state } of await session.prompts()) {
    expect(["succeeded", "failed"]).toContain(state)
  }
  for (const entry of await session.entries()) {
    if (entry.kind === "tool") expect(["completed", "error"]).toContain(entry.state)
    if (entry.kind === "text" || entry.kind === "reasoning") expect(entry.done).toBe(true)
  }
  await session.terminate()
  await expect.poll(() => session.processes(), { timeout: 20_000 }).toEqual([])
})
