import { randomBytes } from "node:crypto"
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import * as z from "zod"
import { type RunningModel, startModel } from "../../dev/model/server.ts"
import { GitRepository } from "../../runner/src/testing/git-repository.ts"
import { FaultStack } from "../faults/fault-stack.ts"
import { until } from "../faults/until.ts"
import { BOOT_WITHIN_MS, bash, SessionDriver, scripted, TURN_WITHIN_MS } from "./session-driver.ts"
import { StubUpstream, type UpstreamCall } from "./stub-upstream.ts"

const secret = (prefix: string) => `${prefix}-canary-${randomBytes(18).toString("base64url")}`

const PROVIDER_KEYS = {
  ANTHROPIC_API_KEY: secret("sk-ant"),
  OPENAI_API_KEY: secret("sk-proj"),
  OPENROUTER_API_KEY: secret("sk-or"),
  COMPATIBLE_API_KEY: secret("compat"),
}

/** The models of each wire form: the scripted one, and a vendor's whose key the broker adds. */
const WIRES = [
  { scripted: "scripted/demo", keyed: "compatible/house", key: "COMPATIBLE_API_KEY" },
  { scripted: "scripted-responses/demo", keyed: "openai/gpt-5.6-sol", key: "OPENAI_API_KEY" },
  {
    scripted: "scripted-messages/demo",
    keyed: "anthropic/claude-sonnet-5",
    key: "ANTHROPIC_API_KEY",
  },
] as const

const specSchema = z.object({ runnerToken: z.string(), modelToken: z.string() })
const secretsSchema = z.record(z.string(), z.string())

let root: string
let model: RunningModel
let vendor: StubUpstream
let stack: FaultStack
let session: SessionDriver
let neighbour: SessionDriver
/** By name, what no sandbox may ever hold. */
let canaries: Map<string, string>

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "canary-"))
  model = await startModel()
  vendor = await StubUpstream.start()
  vendor.answer = (call) => void playAsVendor(call)
  Object.assign(process.env, PROVIDER_KEYS, {
    ANTHROPIC_BASE_URL: `${vendor.url}/v1`,
    OPENAI_BASE_URL: `${vendor.url}/v1`,
    OPENROUTER_BASE_URL: `${vendor.url}/v1`,
    COMPATIBLE_BASE_URL: `${vendor.url}/v1`,
    COMPATIBLE_MODELS: "house",
  })
  stack = await FaultStack.start()

  const repository = new GitRepository(join(root, "project"))
  repository.write("README.md", "# Project\n")
  repository.commit()
  neighbour = await SessionDriver.create(stack, { repoUrl: repository.url })
  session = await SessionDriver.create(stack, { repoUrl: repository.url })
  for (const each of [neighbour, session]) {
    const end = await each.ended(await each.firstPromptId(), BOOT_WITHIN_MS)
    expect(end).toMatchObject({ state: "succeeded" })
  }
  canaries = plantedCanaries()
}, 400_000)

afterAll(async () => {
  await stack?.stop()
  await vendor?.close()
  await model?.close()
  if (root) rmSync(root, { recursive: true, force: true })
})

function specOf({ directory }: SessionDriver) {
  return specSchema.parse(JSON.parse(readFileSync(join(directory, "spec.json"), "utf8")))
}

function plantedCanaries(): Map<string, string> {
  const { line, home } = stack
  const secrets = secretsSchema.parse(JSON.parse(readFileSync(join(home, "secrets.json"), "utf8")))
  const { runnerToken, modelToken } = specOf(neighbour)
  return new Map([
    ...Object.entries(PROVIDER_KEYS),
    ["DATABASE_URL", line.databaseUrl],
    ["the database's password", new URL(line.databaseUrl).password],
    ["SERVER_SIGNING_KEY", secrets.serverSigningKey ?? ""],
    ["ROOMS_SIGNING_KEY", secrets.roomsSigningKey ?? ""],
    ["the API key", line.apiKey],
    ["the neighbour's runner token", runnerToken],
    ["the neighbour's model token", modelToken],
  ])
}

/** Names of the canaries that stand in these bytes, plainly or in a common encoding. */
function found(bytes: Buffer, names: ReadonlyMap<string, string> = canaries): string[] {
  return [...names].flatMap(([name, value]) => {
    const forms = [value, encodeURIComponent(value), JSON.stringify(value).slice(1, -1)]
    const encodings = ["base64", "base64url", "hex"] as const
    // The end of an encoded text depends on what follows it.
    for (const encoding of encodings) forms.push(Buffer.from(value).toString(encoding).slice(0, -4))
    return forms.some((form) => bytes.includes(form)) ? [name] : []
  })
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
}

function leaksBelow(directory: string, names = canaries): string[] {
  return filesBelow(directory).flatMap((path) =>
    found(readFileSync(path), names).map((name) => `${name} in ${path}`),
  )
}

/** Answers as the scripted model does, once the platform's own key came along. */
async function playAsVendor({ path, headers, body, response, abandoned }: UpstreamCall) {
  const key = headers["x-api-key"] ?? headers.authorization?.replace("Bearer ", "")
  if (!Object.values(PROVIDER_KEYS).includes(String(key))) {
    response.writeHead(401).end("{}")
    return
  }
  const gone = new AbortController()
  void abandoned.then(() => gone.abort())
  try {
    const answer = await fetch(model.url + path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: new Uint8Array(body),
      signal: gone.signal,
    })
    // A vendor may quote what it was sent.
    response.writeHead(answer.status, {
      "content-type": answer.headers.get("content-type") ?? "application/json",
      "x-request-id": `req-${key}`,
    })
    for await (const chunk of answer.body ?? []) response.write(chunk)
    response.end(answer.ok ? "" : ` your key was ${key}`)
  } catch (error) {
    if (!gone.signal.aborted) throw error
    response.destroy()
  }
}

describe("the platform's secrets", () => {
  test("are nowhere that the agent itself can look: environment, processes, files, its own server", async () => {
    const looked = "../looked"
    const prompt = scripted(
      bash(
        [
          `mkdir -p ${looked}`,
          `env > ${looked}/env`,
          `for p in /proc/[0-9]*; do grep -qaz "^HOME=$HOME$" $p/environ 2>/dev/null && cat $p/environ $p/cmdline; done > ${looked}/processes`,
          `ps auxwwwe | grep -a "$HOME" > ${looked}/ps-own`,
          `ps auxwww > ${looked}/ps`,
          `git config --list --show-origin > ${looked}/git; git remote -v >> ${looked}/git`,
          `port=$(grep -o 'listening on http://127.0.0.1:[0-9]*' ../state/agent/opencode.log | tail -1 | grep -o '[0-9]*$')`,
          `for path in config config/providers global/config provider; do curl -s -u "opencode:$OPENCODE_SERVER_PASSWORD" http://127.0.0.1:$port/$path; done > ${looked}/config`,
          `wc -c ${looked}/*`,
        ].join("\n"),
      ),
      { say: "Looked everywhere." },
    )
    expect(await session.plays(prompt)).toMatchObject({ state: "succeeded" })
    const seen = (name: string) => readFileSync(join(session.directory, "looked", name), "utf8")
    // It did look: what it may know is there.
    expect(seen("env")).toContain("OPENCODE_SERVER_PASSWORD=")
    expect(seen("processes")).toContain("AGENT_OPS_SPEC=")
    expect(seen("ps")).toContain("opencode")
    expect(seen("config")).toContain("/broker/anthropic/v1")
    expect(leaksBelow(join(session.directory, "looked"))).toEqual([])
  })

  test("are in no file of its sandbox and in no environment or argument of its processes", async () => {
    expect(filesBelow(session.directory).length).toBeGreaterThan(20)
    expect(leaksBelow(session.directory)).toEqual([])
    const processes = session.processes()
    expect(processes.length).toBeGreaterThan(2)
    const told = processes.map(({ command, environment }) => [command, ...environment].join("\0"))
    expect(found(Buffer.from(told.join("\0")))).toEqual([])
    for (const path of ["/config", "/config/providers", "/provider", "/global/config"]) {
      expect(found(Buffer.from(JSON.stringify(await session.agent(path))))).toEqual([])
    }
  })

  test("of the model providers are with the rooms alone, and in nobody's log", async () => {
    const keys = new Map(Object.entries(PROVIDER_KEYS))
    const holders = stack
      .processes()
      .filter(({ environment }) => found(Buffer.from(environment.join("\0")), keys).length > 0)
    const mayHold = /stack-process\.ts|dev\/rooms\.ts|workerd|esbuild/
    expect(holders.filter(({ command }) => !mayHold.test(command))).toEqual([])
    expect(holders.length).toBeGreaterThan(0)
    expect(leaksBelow(join(stack.home, "logs"))).toEqual([])
    expect(leaksBelow(join(stack.home, "rooms"), keys)).toEqual([])
    const answers = JSON.stringify([
      await stack.api.session.list.query({}),
      await stack.api.model.list.query(),
      await stack.api.sandbox.get.query({ sessionId: session.id }),
      await session.entries(),
      await (await fetch(`${stack.line.url}/api/health`)).json(),
    ])
    expect(found(Buffer.from(answers))).toEqual([])
  })
})

describe("each wire form works through the broker with the real agent", () => {
  test.for(WIRES)("$scripted: thinks, runs a tool, speaks, and is paid for", async (wire) => {
    const before = (await session.get()).costMicros
    const steps = scripted({ think: "Hm. " }, bash("echo through the broker"), {
      say: "It works. ",
      repeat: 20,
    })
    const promptId = await session.send(steps, { model: wire.scripted })
    expect(await session.ended(promptId)).toMatchObject({ state: "succeeded", error: null })
    expect(await session.outputs(promptId)).toEqual(["through the broker\n"])
    expect((await session.get()).costMicros).toBeGreaterThan(before)
  })

  test.for(WIRES)(
    "$keyed: the platform's key reaches the vendor, and nobody else",
    async (wire) => {
      const call = vendor.nextCall()
      const end = await session.plays(scripted({ say: "From the vendor." }), { model: wire.keyed })
      expect(end).toMatchObject({ state: "succeeded" })
      const { headers } = await call
      const key = headers["x-api-key"] ?? headers.authorization?.replace("Bearer ", "")
      expect(key).toBe(PROVIDER_KEYS[wire.key])
      expect(JSON.stringify(headers)).not.toContain(specOf(session).modelToken)
    },
  )

  test.for(WIRES)("$keyed: a stop in mid-stream ends the vendor's call at once", async (wire) => {
    const calling = vendor.nextCall()
    const steps = scripted({ say: "word ", repeat: 3_000, everyMs: 20 })
    const promptId = await session.send(steps, { model: wire.keyed })
    const call = await calling
    await until("the first words", TURN_WITHIN_MS, async () =>
      (await session.entries()).some(({ kind, turnId }) => kind === "text" && turnId === promptId),
    )
    await stack.api.prompt.stop.mutate({ promptId })
    await call.abandoned
    expect(await session.ended(promptId)).toMatchObject({ state: "stopped", error: null })
  })

  test.for(WIRES)(
    "$keyed: an error names the model, and never the key that the vendor quotes",
    async (wire) => {
      const steps = scripted({ httpError: 400 })
      const end = await session.plays(steps, { model: wire.keyed })
      expect(end).toMatchObject({ state: "failed", error: { reason: "model-refused" } })
      expect(end.error?.message).toContain(wire.keyed)
      expect(found(Buffer.from(JSON.stringify(await session.entries())))).toEqual([])
    },
  )

  const filler = "x".repeat(10 * 1024 * 1024)
  const BODIES = {
    "chat/completions": { messages: [{ role: "user", content: filler }] },
    responses: { input: [{ role: "user", content: filler }] },
    messages: { max_tokens: 100, messages: [{ role: "user", content: filler }] },
  }
  test.for([
    ["scripted", "chat/completions"],
    ["scripted-responses", "responses"],
    ["scripted-messages", "messages"],
  ] as const)(
    "%s takes a request of 10 MB, also one that is given up",
    async ([provider, path]) => {
      const url = `${stack.line.roomsUrl}/broker/${provider}/v1/${path}`
      const ask = (signal: AbortSignal) =>
        fetch(url, {
          method: "POST",
          headers: {
            authorization: `Bearer ${specOf(session).modelToken}`,
            "content-type": "application/json",
          },
          body: JSON.stringify({ model: "demo", stream: true, ...BODIES[path] }),
          signal,
        })
      const early = new AbortController()
      const given = ask(early.signal)
      setImmediate(() => early.abort())
      await expect(given).rejects.toThrow(/abort/)
      const answer = await ask(AbortSignal.timeout(30_000))
      expect(answer.status).toBe(200)
      expect((await answer.text()).length).toBeGreaterThan(50)
    },
  )
})

test("the agent's own token opens nothing but its models, and that only while its sandbox lives", async () => {
  const { modelToken, runnerToken } = specOf(neighbour)
  const body = JSON.stringify({ model: "demo", messages: [{ role: "user", content: "Hi" }] })
  const ask = async (path: string, token: string, method = "POST") => {
    const headers = { authorization: `Bearer ${token}` }
    const init = method === "POST" ? { method, headers, body } : { method, headers }
    return (await fetch(path, init)).status
  }
  const broker = `${stack.line.roomsUrl}/broker/scripted/v1/chat/completions`
  expect(await ask(broker, modelToken)).toBe(200)
  expect(await ask(broker, runnerToken)).toBe(401)
  expect(await ask(`${stack.line.roomsUrl}/broker/nobody/v1/messages`, modelToken)).toBe(404)
  expect(await ask(`${stack.line.url}/api/trpc/viewer.me`, modelToken, "GET")).toBe(401)
  for (const token of [modelToken, runnerToken]) {
    expect(await ask(`${stack.line.roomsUrl}/parties/session/${neighbour.id}`, token)).toBe(401)
    expect(await ask(`${stack.line.url}/api/internal/rooms`, token)).toBe(401)
    expect(await ask(`${stack.line.url}/api/internal/tick`, token)).toBe(401)
  }
  await neighbour.terminate()
  await neighbour.has("ended")
  await expect.poll(() => ask(broker, modelToken), { timeout: 20_000 }).toBe(401)
  await expect.poll(() => neighbour.processes(), { timeout: 20_000 }).toEqual([])
  expect(statSync(stack.home).mode & 0o077).toBe(0)
})
