import { execFile } from "node:child_process"
import { once } from "node:events"
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { type DraftEntry, draftEntrySchema } from "#protocol/entry"
import { promptIdSchema } from "#protocol/ids"
import type { Delta } from "#protocol/runner"
import type { SandboxModel } from "#protocol/sandbox-spec"
import { type Claim, type Diff, type RunnerReport, runnerReportSchema } from "#protocol/work"
import { type RunningModel, startModel } from "../../dev/model/server.ts"
import { type Agent, startAgent } from "../../runner/src/agent/agent.ts"
import { markedProcesses } from "../../runner/src/agent/process-tree.ts"
import { openJournal } from "../../runner/src/journal.ts"
import type { Emit, PromptLoop } from "../../runner/src/prompt/ports.ts"
import { startPromptLoop } from "../../runner/src/prompt/prompt-loop.ts"
import { endAgentWithTests } from "../setup/end-with-tests.ts"

const run = promisify(execFile)
const program = fileURLToPath(
  new URL("../../node_modules/opencode-linux-x64/bin/opencode", import.meta.url),
)
const waitMs = 60_000

const model = (id: string, wire: SandboxModel["wire"]): SandboxModel => ({
  id,
  name: id,
  wire,
  contextTokens: 200_000,
  outputTokens: 8_000,
  reasoning: true,
  images: false,
})

export type Attempt = Extract<RunnerReport, { type: "attempt.ended" }>

export function scripted(...steps: object[]): string {
  return `Play this.\n\n\`\`\`agent-script\n${JSON.stringify(steps, null, 2)}\n\`\`\``
}

/** The real agent and prompt loop over the scripted model, with the room and the broker played by the test. */
export class AgentHarness {
  readonly root: string
  readonly #model: RunningModel
  readonly #broker: Broker
  entries: DraftEntry[] = []
  reports: RunnerReport[] = []
  deltas: Delta[] = []
  diff: Diff = { base: "0", files: [], truncated: false }
  agent!: Agent
  loop!: PromptLoop
  #prompts = 0

  private constructor(root: string, running: RunningModel, broker: Broker) {
    this.root = root
    this.#model = running
    this.#broker = broker
  }

  static async start(): Promise<AgentHarness> {
    const root = await mkdtemp(join(tmpdir(), "agent-"))
    const running = await startModel()
    const broker = await Broker.start(running.url)
    const harness = new AgentHarness(root, running, broker)
    await mkdir(harness.directory)
    await run("git", ["init", "--quiet"], { cwd: harness.directory })
    await writeFile(join(harness.directory, "README.md"), "# A small project\n")
    await harness.startRunner()
    await harness.agent.warmUp()
    return harness
  }

  get directory(): string {
    return join(this.root, "workspace")
  }

  /** Bodies of the model requests, oldest first. */
  get requests(): string[] {
    return this.#broker.requests
  }

  async startRunner(): Promise<void> {
    endAgentWithTests(join(this.root, "scratch"))
    this.agent = await startAgent({
      spec: {
        roomsUrl: this.#broker.url,
        modelToken: "model-token",
        models: [model("demo/chat", "chat-completions"), model("anthropic/demo", "messages")],
        deadlines: { cloneMs: waitMs, agentMs: 90_000, warmUpMs: waitMs },
      },
      program,
      base: { PATH: process.env.PATH ?? "" },
      home: join(this.root, "home"),
      directory: this.directory,
      scratch: join(this.root, "scratch"),
      log: () => undefined,
    })
    this.loop = startPromptLoop({
      agent: this.agent,
      emit: this.#emit(),
      journal: openJournal(join(this.root, "journal.json"), () => undefined),
      workspace: { directory: this.directory, changes: async () => this.diff },
      generation: 1,
      isDelivered: true,
      roomLostSince: () => false,
      log: () => undefined,
    })
    await this.loop.recover()
  }

  async close(): Promise<void> {
    await this.loop?.close()
    await this.agent?.close()
    await this.#broker.close()
    await this.#model.close()
    await rm(this.root, { recursive: true, force: true, maxRetries: 5 })
  }

  claim(text: string, over: Partial<Claim> = {}): Claim {
    this.#prompts += 1
    const promptId = promptIdSchema.parse(`prm_${this.#prompts}`)
    return {
      promptId,
      attempt: 1,
      generation: 1,
      turnId: promptId,
      text,
      author: { id: "usr_1", name: "Ada" },
      attachments: [],
      model: "demo/chat",
      agent: "build",
      deadlines: { acceptMs: 5_000, startMs: 30_000, silenceMs: 30_000, turnMs: 120_000 },
      ...over,
    }
  }

  /** Starts the prompt and resolves with how its attempt ended. */
  async play(text: string, over: Partial<Claim> = {}): Promise<Attempt> {
    const claim = this.claim(text, over)
    this.loop.run(claim)
    return this.ended(claim)
  }

  ended({ promptId, attempt }: Pick<Claim, "promptId" | "attempt">): Promise<Attempt> {
    const find = () =>
      this.reports.find(
        (report) =>
          report.type === "attempt.ended" &&
          report.promptId === promptId &&
          report.attempt === attempt,
      )
    return until(find).then((report) => {
      if (report.type !== "attempt.ended") throw new Error("not an end")
      return report
    })
  }

  /** The newest version of every entry of a turn, in the order of their first versions. */
  newest(turnId: string): DraftEntry[] {
    const byKey = new Map<string, DraftEntry>()
    for (const entry of this.entries) if (entry.turnId === turnId) byKey.set(entry.key, entry)
    return [...byKey.values()]
  }

  /** Pid of the OpenCode server. */
  async agentPid(): Promise<number> {
    const mark = await readFile(join(this.root, "scratch", "opencode.mark"), "utf8")
    for (const pid of markedProcesses(mark)) {
      const command = await readFile(`/proc/${pid}/cmdline`, "utf8")
      if (command.includes("\0serve\0")) return pid
    }
    throw new Error("OpenCode does not run")
  }

  /** What the agent itself holds, read from outside of the loop. */
  async agentTexts(): Promise<string[]> {
    const [sessionId] = await this.sessionIds()
    const messages = await this.agent.calls.messagesFrom(sessionId ?? "", null)
    return messages
      .filter(({ info }) => info.role === "assistant")
      .flatMap(({ parts }) =>
        parts.flatMap(({ known, part }) => (known === "text" ? [part.text] : [])),
      )
  }

  async sessionIds(): Promise<string[]> {
    const record = openJournal(join(this.root, "journal.json"), () => undefined).read()
    return record?.agentSessionId ? [record.agentSessionId] : []
  }

  #emit(): Emit {
    return {
      entry: (draft) => void this.entries.push(draftEntrySchema.parse(draft)),
      report: (report) => void this.reports.push(runnerReportSchema.parse(report)),
      deltas: (deltas) => void this.deltas.push(...deltas),
    }
  }
}

/** Resolves with the first truthy answer; rejects when there is none within a minute. */
export async function until<Value>(look: () => Value | undefined | false): Promise<Value> {
  const giveUpAt = performance.now() + waitMs
  for (;;) {
    const value = look()
    if (value) return value
    if (performance.now() > giveUpAt) throw new Error(`nothing after ${waitMs} ms: ${look}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Pids of processes whose command line contains the text. */
export async function processesWith(text: string): Promise<number[]> {
  const { stdout } = await run("ps", ["-eo", "pid=,args="])
  return stdout
    .split("\n")
    .filter((line) => line.includes(text) && !line.includes("ps -eo"))
    .map((line) => Number.parseInt(line, 10))
}

/** Passes `/broker/<provider>/v1/…` on to the scripted model and keeps what was asked. */
class Broker {
  readonly requests: string[] = []
  readonly url: string
  readonly #close: () => Promise<void>

  private constructor(modelUrl: string, url: string, server: ReturnType<typeof createServer>) {
    this.url = url
    server.on("request", (request, response) => void this.#pass(modelUrl, request, response))
    this.#close = async () => {
      const closed = once(server, "close")
      server.close()
      server.closeAllConnections()
      await closed
    }
  }

  static async start(modelUrl: string): Promise<Broker> {
    const server = createServer()
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    const address = server.address()
    if (address === null || typeof address === "string") throw new Error("no port")
    return new Broker(modelUrl, `http://127.0.0.1:${address.port}`, server)
  }

  close(): Promise<void> {
    return this.#close()
  }

  async #pass(modelUrl: string, request: IncomingMessage, response: ServerResponse) {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const body = Buffer.concat(chunks).toString()
    this.requests.push(body)
    const gone = new AbortController()
    response.on("close", () => gone.abort())
    try {
      const path = (request.url ?? "").replace(/^\/broker\/[^/]+/, "")
      const answer = await fetch(modelUrl + path, {
        method: "POST",
        headers: { "content-type": "application/json", "x-api-key": "any" },
        body,
        signal: gone.signal,
      })
      response.writeHead(answer.status, {
        "content-type": answer.headers.get("content-type") ?? "",
      })
      for await (const chunk of answer.body ?? []) response.write(chunk)
      response.end()
    } catch {
      response.destroy()
    }
  }
}
