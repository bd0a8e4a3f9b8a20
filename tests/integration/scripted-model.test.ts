import { execFile } from "node:child_process"
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import type { OpencodeClient, Part } from "@opencode-ai/sdk/v2/client"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type RunningModel, startModel } from "../../dev/model/server.ts"
import { type RunningOpencode, startOpencode } from "./start-opencode.ts"

const run = promisify(execFile)
const providers = {
  chat: "@ai-sdk/openai-compatible",
  responses: "@ai-sdk/openai",
  messages: "@ai-sdk/anthropic",
}
const forms = Object.keys(providers)

let root: string
let project: string
let model: RunningModel
let opencode: RunningOpencode

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "scripted-model-"))
  project = join(root, "project")
  await mkdir(project)
  await writeFile(join(project, "README.md"), "# A small project\n")
  await writeFile(join(project, "package.json"), '{ "scripts": { "test": "echo all is well" } }\n')
  await run("git", ["init", "--quiet"], { cwd: project })
  model = await startModel()
  opencode = await startOpencode({ home: join(root, "home"), project, config: config(model.url) })
})

afterAll(async () => {
  await opencode?.stop()
  await model?.close()
  await rm(root, { recursive: true, force: true, maxRetries: 5 })
})

function config(url: string) {
  const demo = {
    name: "Demo model",
    tool_call: true,
    reasoning: true,
    limit: { context: 200_000, output: 8_000 },
  }
  const provider = Object.fromEntries(
    Object.entries(providers).map(([id, npm]) => [
      id,
      { npm, options: { baseURL: `${url}/v1`, apiKey: "any" }, models: { demo } },
    ]),
  )
  return {
    provider,
    enabled_providers: forms,
    permission: { "*": "allow" },
    share: "disabled",
    autoupdate: false,
  }
}

function scripted(...steps: object[]): string {
  return `Play this.\n\n\`\`\`agent-script\n${JSON.stringify(steps, null, 2)}\n\`\`\``
}

async function createSession(client: OpencodeClient): Promise<string> {
  const { data, error } = await client.session.create({ title: "scripted" })
  if (!data) throw new Error(`No session: ${JSON.stringify(error)}`)
  return data.id
}

/** Sends a prompt, waits for the end of its turn and answers what the agent did, one list a response. */
async function play(sessionID: string, form: string, text: string): Promise<string[][]> {
  const { client } = opencode
  const before = (await client.session.messages({ sessionID })).data?.length ?? 0
  await client.session.prompt(
    {
      sessionID,
      model: { providerID: form, modelID: "demo" },
      parts: [
        { type: "text", text },
        { type: "text", text: "A second part of the same prompt.", synthetic: true },
      ],
    },
    { signal: AbortSignal.timeout(90_000) },
  )
  const { data = [] } = await client.session.messages({ sessionID })
  return data
    .slice(before)
    .flatMap(({ info, parts }) =>
      info.role === "assistant"
        ? [info.error ? [JSON.stringify(info.error)] : parts.flatMap(summary)]
        : [],
    )
}

function summary(part: Part): string[] {
  if (part.type === "reasoning") return [`thinks ${part.text}`]
  if (part.type === "text") return [`says ${part.text}`]
  if (part.type !== "tool") return []
  const output = part.state.status === "completed" ? part.state.output.trim() : ""
  return [`${part.tool} ${part.state.status} ${output}`]
}

describe.each(forms)("through OpenCode, the %s form", (form) => {
  test("plays a script to its end: thought, text, tool, parallel tools, final text", async () => {
    const session = await createSession(opencode.client)
    const played = await play(
      session,
      form,
      scripted(
        { think: "I plan." },
        { say: "First the shell." },
        { tool: "bash", input: { command: "pwd", description: "Where am I" } },
        {
          parallel: [
            { tool: "bash", input: { command: "echo two", description: "Two" } },
            { tool: "write", input: { filePath: `$CWD/${form}.txt`, content: "three\n" } },
          ],
        },
        { sleepMs: 5 },
        { say: "word ", repeat: 3, everyMs: 5 },
        { say: "end." },
      ),
    )
    expect(played).toEqual([
      ["thinks I plan.", "says First the shell.", `bash completed ${project}`],
      ["bash completed two", "write completed Wrote file successfully."],
      ["says word word word end."],
    ])
    expect(await readFile(join(project, `${form}.txt`), "utf8")).toBe("three\n")
  })

  test("ends with a word when the last step was a tool, and each prompt has its own script", async () => {
    const session = await createSession(opencode.client)
    const echo = { tool: "bash", input: { command: "echo hi", description: "Hi" } }
    expect(await play(session, form, scripted(echo))).toEqual([
      ["bash completed hi"],
      ["says Done."],
    ])
    expect(await play(session, form, scripted({ say: "Again." }))).toEqual([["says Again."]])
  })

  test("reports usage and shows a bad script as an error that names the step", async () => {
    const session = await createSession(opencode.client)
    await play(session, form, scripted({ say: "x", repeat: 7 }))
    const { data = [] } = await opencode.client.session.messages({ sessionID: session })
    const tokens = data.flatMap(({ info }) => (info.role === "assistant" ? [info.tokens] : []))
    expect(tokens).toEqual([expect.objectContaining({ output: 7 })])
    expect(tokens[0]?.input).toBeGreaterThan(1000)

    const played = await play(session, form, scripted({ say: "x" }, { says: "y" }))
    expect(played.flat().join()).toContain("step 2 must have exactly one of")
  })
})

test("without a script the tour reads the project, runs its tests, writes notes and names the key", async () => {
  const session = await createSession(opencode.client)
  const played = await play(session, "chat", "Please fix the login page.")
  const [list, read, tests, write, end] = played.map((parts) => parts.join("\n"))
  expect(list).toContain("I am the demo model")
  expect(list).toContain("README.md")
  expect(read).toContain("# A small project")
  expect(tests).toMatch(/all is well\nexit code: 0$/)
  expect(write).toContain("write completed")
  expect(end).toMatch(/They passed\.[\s\S]*Settings → Model keys/)
  const notes = await readFile(join(project, "AGENT_NOTES.md"), "utf8")
  expect(notes).toContain("Written by the demo model")
  expect(notes).toContain("- README.md")
  expect(notes).toContain("all is well")
})
