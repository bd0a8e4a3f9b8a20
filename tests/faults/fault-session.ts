import { existsSync, readFileSync } from "node:fs"
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { parseCursor } from "#protocol/cursor"
import { promptKey } from "#protocol/entry"
import type { SessionLog } from "#protocol/session-log"
import { makeRepository } from "../../dev/demo/repository.ts"
import { signal } from "../../dev/stack/leftovers.ts"
import type { FaultStack } from "./fault-stack.ts"
import { type Found, processesWith } from "./processes.ts"
import { type ScriptStep, scripted } from "./script.ts"
import { until } from "./until.ts"
import { Viewer } from "./viewer.ts"

/** As many sessions may boot at once as there are tests at once, two at a time. */
export const BOOT_WITHIN_MS = 180_000
const MODEL = "scripted/demo"
const ENDED: readonly string[] = ["succeeded", "failed", "stopped", "interrupted", "withdrawn"]

let minted = 0

/** Prompt ids of this run, in order. */
export const newPromptId = () => `p${process.pid}-${++minted}`

/** A session on a small real repository, with the processes of its sandbox and the people who watch it. */
export class FaultSession {
  readonly stack: FaultStack
  readonly id: string
  readonly viewers: Viewer[] = []

  constructor(stack: FaultStack, id: string) {
    this.stack = stack
    this.id = id
  }

  /** Creates a session whose first prompt plays these steps. */
  static async create(
    stack: FaultStack,
    steps: ScriptStep[] = [],
    repository?: string,
  ): Promise<FaultSession> {
    const repoUrl = repository ?? (await repositoryOf(stack))
    const prompt = scripted(newPromptId(), steps)
    const { id } = await stack.api.session.create.mutate({ repoUrl, prompt, model: MODEL })
    return new FaultSession(stack, id)
  }

  /** One that has done its first prompt and waits for the next, watched by so many. */
  static async ready(stack: FaultStack, viewers = 2): Promise<FaultSession> {
    const session = await FaultSession.create(stack)
    await session.watch(viewers)
    await session.hasEnded(await session.firstPrompt(), BOOT_WITHIN_MS)
    return session
  }

  async watch(count: number): Promise<void> {
    for (let n = 0; n < count; n++) this.viewers.push(await Viewer.open(this.stack, this.id))
  }

  get viewer(): Viewer {
    const [viewer] = this.viewers
    if (!viewer) throw new Error("Nobody watches this session.")
    return viewer
  }

  /** All of them, newest first. */
  async prompts() {
    const query = { sessionId: this.id, limit: 100 }
    let page = await this.stack.api.prompt.list.query(query)
    const prompts = page.items
    while (page.nextCursor !== null) {
      page = await this.stack.api.prompt.list.query({ ...query, cursor: page.nextCursor })
      prompts.push(...page.items)
    }
    return prompts
  }

  async prompt(promptId: string) {
    const found = (await this.prompts()).find(({ id }) => id === promptId)
    if (!found) throw new Error(`${promptId} is not in the list of prompts`)
    return found
  }

  async firstPrompt(): Promise<string> {
    const oldest = (await this.prompts()).at(-1)
    if (!oldest) throw new Error("The session has no prompt")
    return oldest.id
  }

  /** Sends a prompt that plays these steps; its id is made here unless given. */
  async send(steps: ScriptStep[], promptId = newPromptId()): Promise<string> {
    return this.say(scripted(promptId, steps), promptId)
  }

  /** Sends a prompt in these words. The model goes on with the script that it was last given. */
  async say(text: string, promptId = newPromptId()): Promise<string> {
    const prompt = { promptId, sessionId: this.id, text, model: MODEL, mode: "queue" as const }
    await this.stack.api.prompt.send.mutate(prompt)
    return promptId
  }

  /** Waits for the prompt's end in the database; the state it ended in. */
  async hasEnded(promptId: string, withinMs: number): Promise<string> {
    return until(`the end of ${promptId}`, withinMs, async () => {
      const { state } = await this.prompt(promptId)
      return ENDED.includes(state) ? state : null
    })
  }

  /** Waits until the API's history reaches as far as the first viewer's was at first. */
  async hasCaughtUp(withinMs: number): Promise<void> {
    const { seq } = this.viewer.log.cursor
    await until("the history to be whole", withinMs, async () => {
      const query = { sessionId: this.id, limit: 1 }
      const { upTo } = await this.stack.api.timeline.page.query(query)
      return parseCursor(upTo).seq >= seq
    })
  }

  /** The newest state of a prompt on a viewer's screen. */
  stateIn(log: SessionLog, promptId: string): string | undefined {
    const entry = log.entries.get(promptKey(promptId))
    return entry?.kind === "prompt" ? entry.state : undefined
  }

  /** Throws with the prompt's error when the first viewer saw it end: a fault must meet work under way. */
  assertRunning(promptId: string): void {
    const entry = this.viewer.log.entries.get(promptKey(promptId))
    if (entry?.kind !== "prompt" || entry.state !== "running") {
      const said = entry?.kind === "prompt" ? [entry.state, entry.error] : "not in the timeline"
      throw new Error(`${promptId} does not run: ${JSON.stringify(said)}`)
    }
  }

  get directory(): string {
    return join(this.stack.home, "sandboxes", this.id)
  }

  /** How often the agent carried out the prompt with this mark, by its own notes. */
  executions(mark: string): number {
    const notes = join(this.directory, "executions")
    if (!existsSync(notes)) return 0
    return readFileSync(notes, "utf8")
      .split("\n")
      .filter((line) => line === mark).length
  }

  supervisor(): number {
    return this.#find((command) => command.endsWith("runner.js"))
  }

  runner(): number {
    return this.#find((command) => command.endsWith("runner.js run"))
  }

  agent(): number {
    return this.#find((command) => command.includes("opencode serve"))
  }

  kill(pid: number): void {
    signal(pid, "SIGKILL")
  }

  processes(): Found[] {
    return processesWith(`HOME=${join(this.directory, "home")}`)
  }

  /** Waits until the viewers have seen the turn's first text or tool. */
  async hasBegun(promptId: string, kind: "text" | "tool", withinMs: number): Promise<void> {
    await this.viewer.until(`the first ${kind} of ${promptId}`, withinMs, ({ entries }) =>
      [...entries.values()].some((entry) => entry.kind === kind && entry.turnId === promptId),
    )
  }

  /** Ends it and waits until nothing of its machine is left. */
  async terminate(withinMs: number): Promise<void> {
    this.close()
    await this.stack.api.session.terminate.mutate({ sessionId: this.id })
    await until("its machine to be gone", withinMs, () => this.processes().length === 0)
  }

  close(): void {
    for (const viewer of this.viewers) viewer.close()
  }

  #find(is: (command: string) => boolean): number {
    const found = this.processes().filter(({ command }) => is(command))
    const [process] = found
    if (!process || found.length > 1) {
      throw new Error(`Expected one process: ${found.map(({ command }) => command).join(" | ")}`)
    }
    return process.pid
  }
}

const repositories = new WeakMap<FaultStack, Promise<string>>()

/** The repository that all sessions of a stack share. */
function repositoryOf(stack: FaultStack): Promise<string> {
  const made = repositories.get(stack) ?? makeIn(join(stack.home, "repository"))
  repositories.set(stack, made)
  return made
}

async function makeIn(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true })
  return makeRepository(directory)
}
