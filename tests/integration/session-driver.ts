import { randomUUID } from "node:crypto"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { Entry } from "#protocol/entry"
import { promptIdSchema, sessionIdSchema } from "#protocol/ids"
import type { apiClient } from "../../server/client.ts"
import type { FaultStack } from "../faults/fault-stack.ts"
import { type Found, processesOf } from "../faults/processes.ts"
import type { ScriptStep } from "../faults/script.ts"
import { until } from "../faults/until.ts"

type Api = ReturnType<typeof apiClient>
export type Session = Awaited<ReturnType<Api["session"]["get"]["query"]>>
export type Prompt = Awaited<ReturnType<Api["prompt"]["send"]["mutate"]>>
type NewSession = Parameters<Api["session"]["create"]["mutate"]>[0]
type NewPrompt = Partial<Parameters<Api["prompt"]["send"]["mutate"]>[0]>

/** Long enough for a sandbox that boots on a busy machine. */
export const BOOT_WITHIN_MS = 120_000
export const TURN_WITHIN_MS = 60_000

const PAGE = 500
const OPEN: readonly string[] = ["queued", "dispatched", "running"]

/** A prompt that the scripted model answers with these steps. */
export const scripted = (...steps: ScriptStep[]) =>
  `Do it.\n\n\`\`\`agent-script\n${JSON.stringify(steps)}\n\`\`\`\n`

/** A command that the agent runs. */
export const bash = (command: string): ScriptStep => ({
  tool: "bash",
  input: { command, description: "Run a command" },
})

export const newPromptId = () => promptIdSchema.parse(`prm_${randomUUID().replaceAll("-", "")}`)

/** One session of a whole stack, driven through the API as its callers do. */
export class SessionDriver {
  readonly id: ReturnType<typeof sessionIdSchema.parse>
  readonly #stack: FaultStack

  constructor(stack: FaultStack, id: string) {
    this.#stack = stack
    this.id = sessionIdSchema.parse(id)
  }

  static async create(
    stack: FaultStack,
    wish: Omit<NewSession, "prompt"> & { prompt?: string },
  ): Promise<SessionDriver> {
    const prompt = wish.prompt ?? scripted({ say: "Ready." })
    const { id } = await stack.api.session.create.mutate({ ...wish, prompt })
    return new SessionDriver(stack, id)
  }

  get(): Promise<Session> {
    return this.#stack.api.session.get.query({ sessionId: this.id })
  }

  wake(): Promise<Session> {
    return this.#stack.api.session.wake.mutate({ sessionId: this.id })
  }

  /** Resolves once the session's status is this one. */
  has(status: Session["status"], withinMs = BOOT_WITHIN_MS): Promise<Session> {
    return until(`${this.id} to be ${status}`, withinMs, async () => {
      const session = await this.get()
      if (session.status === status) return session
      throw new Error(`It is ${session.status}: ${session.statusReason}`)
    })
  }

  /** Resolves once a sandbox of this generation has failed. */
  failed(generation: number): Promise<Session> {
    return until(`sandbox ${generation} of ${this.id} to fail`, BOOT_WITHIN_MS, async () => {
      const session = await this.get()
      if (session.generation === generation && session.status === "failed") return session
      throw new Error(`${session.generation} is ${session.status}: ${session.statusReason}`)
    })
  }

  /** Oldest first. */
  async prompts(): Promise<Prompt[]> {
    const query = { sessionId: this.id, limit: 100 }
    return (await this.#stack.api.prompt.list.query(query)).items.reverse()
  }

  async prompt(promptId: string): Promise<Prompt> {
    const found = (await this.prompts()).find(({ id }) => id === promptId)
    if (!found) throw new Error(`${promptId} is not in the list of prompts`)
    return found
  }

  async firstPromptId(): Promise<string> {
    const [first] = await this.prompts()
    if (!first) throw new Error("The session has no prompt")
    return first.id
  }

  async send(text: string, over: NewPrompt = {}): Promise<string> {
    const promptId = newPromptId()
    const prompt = { promptId, sessionId: this.id, text, mode: "queue" as const, ...over }
    return (await this.#stack.api.prompt.send.mutate(prompt)).id
  }

  /** Waits for the prompt's end. */
  ended(promptId: string, withinMs = TURN_WITHIN_MS): Promise<Prompt> {
    return until(`the end of ${promptId}`, withinMs, async () => {
      const prompt = await this.prompt(promptId)
      if (!OPEN.includes(prompt.state)) return prompt
      throw new Error(`It is ${prompt.state}`)
    })
  }

  /** Sends a prompt and waits for its end. */
  async plays(text: string, over: NewPrompt = {}, withinMs = TURN_WITHIN_MS): Promise<Prompt> {
    return this.ended(await this.send(text, over), withinMs)
  }

  /** The timeline as PostgreSQL has it, in the order of the screen. */
  async entries(): Promise<Entry[]> {
    const entries: Entry[] = []
    for (let since = "0"; ; ) {
      const query = { sessionId: this.id, since, limit: PAGE }
      const page = await this.#stack.api.timeline.page.query(query)
      entries.push(...page.items)
      if (!page.hasMore) return entries.sort((a, b) => a.firstSeq - b.firstSeq)
      since = page.upTo
    }
  }

  /** What the agent's commands wrote in a turn. */
  async outputs(promptId: string): Promise<string[]> {
    const entries = await this.entries()
    return entries.flatMap((entry) =>
      entry.kind === "tool" && entry.turnId === promptId ? [entry.output] : [],
    )
  }

  diff() {
    return this.#stack.api.changes.diff.query({ sessionId: this.id })
  }

  async terminate(): Promise<void> {
    await this.#stack.api.session.terminate.mutate({ sessionId: this.id })
  }

  /** Where its local sandbox lives. */
  get directory(): string {
    return join(this.#stack.home, "sandboxes", this.id)
  }

  processes(): Found[] {
    return processesOf(this.directory)
  }

  /** The agent's own HTTP server, asked from outside as only root can. */
  async agent(path: string): Promise<unknown> {
    const server = this.processes().find(({ command }) => command.includes("opencode serve"))
    const password = server?.environment
      .find((entry) => entry.startsWith("OPENCODE_SERVER_PASSWORD="))
      ?.replace(/^.*?=/, "")
    const log = readFileSync(join(this.directory, "state/agent/opencode.log"), "utf8")
    const url = [...log.matchAll(/listening on (http:\S+)/g)].at(-1)?.[1]
    if (!password || !url) throw new Error(`${this.id} has no agent`)
    const headers = { authorization: `Basic ${btoa(`opencode:${password}`)}` }
    const answer = await fetch(url + path, { headers, signal: AbortSignal.timeout(TURN_WITHIN_MS) })
    if (!answer.ok) throw new Error(`${path} answered ${answer.status}`)
    return answer.json()
  }
}
