import { setTimeout as sleep } from "node:timers/promises"
import type { SandboxSpec } from "#protocol/sandbox-spec"
import { isDiskFull } from "../disk-full.ts"
import type { Log } from "../log.ts"
import { agentConfig } from "./config.ts"
import { findInstructions } from "./instructions.ts"
import { killLeftOver } from "./left-over.ts"
import { connectOpencode, type Opencode } from "./opencode.ts"
import { skipPluginInstall } from "./plugin-install.ts"
import { type AgentProcess, markFile, startProcess } from "./process.ts"
import { startWarmUpStub, type WarmUpStub, warmUp } from "./warm-up.ts"
import { type AgentEvent, decodeEvent } from "./wire.ts"

const healthMs = 1_000
const pollMs = 50
const reconnectMs = 200
const restartPausesMs = [0, 1_000, 5_000]
/** A process that dies this young is likely to do so again. */
const shortLifeMs = 10_000
const shortLifePausesMs = [5_000, 5_000, 5_000]

/** What its database and logs take while it starts. */
const leastBytes = 16 * 1024 * 1024

export type AgentListener = {
  event(event: AgentEvent): void
  /** Events may have been missed; the agent's own messages say what is true. */
  gap(): void
  /** The agent's process is gone, unasked, and is being started again. */
  down(sentence: string): void
}

/** OpenCode's calls, answered by whichever process is up. */
export type AgentCalls = Omit<Opencode, "events" | "isHealthy" | "ask">

/** OpenCode, kept running. Its sessions survive restarts of its process. */
export type Agent = {
  calls: AgentCalls
  /** Ids, `provider/model`, of the models that prompts may name. */
  models: ReadonlySet<string>
  subscribe(listener: AgentListener): () => void
  /** Resolves when the process is up; rejects when it could not be started again. */
  whenUp(): Promise<void>
  /** Resolves when the process answers, sooner than when it is up; rejects when it could not be started again. */
  whenAnswering(): Promise<void>
  /** Kills the process with all that it started, and starts it again. */
  restart(): Promise<void>
  /** Rejects when the warm-up failed or took too long; prompts work all the same. */
  warmUp(): Promise<void>
  close(): Promise<void>
}

export type AgentOptions = {
  spec: Pick<SandboxSpec, "roomsUrl" | "modelToken" | "models" | "deadlines">
  /** Path of the OpenCode program. */
  program: string
  /** Environment for the agent and its tools, without secrets of the runner. */
  base: Record<string, string>
  home: string
  /** The workspace. */
  directory: string
  /** The runner's own directory: log and mark of the process. */
  scratch: string
  log: Log
}

type Listeners = ReadonlySet<AgentListener>

type Running = {
  process: AgentProcess
  opencode: Opencode
  stub: WarmUpStub
  /** The first event stream; later ones follow when it ends. */
  events: AsyncGenerator<unknown>
  /** Aborted when this process is given up. */
  ended: AbortController
  startedAtMs: number
}

/** Starts OpenCode and keeps it up. Rejects when the first start misses `deadlines.agentMs`. */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { spec, log } = options
  const listeners = new Set<AgentListener>()
  await skipPluginInstall(options.home)
  let running = await start(options)
  let up: Promise<void> = Promise.resolve()
  let answering: Promise<void> = Promise.resolve()
  let starting = false
  let closed = false
  watch(running)

  function watch(process: Running): void {
    void follow(process, listeners, log)
    void process.process.exited.then((sentence) => {
      if (process.ended.signal.aborted) return
      log("the agent is gone and is started again", { sentence })
      const isYoung = performance.now() - process.startedAtMs < shortLifeMs
      void setUp(isYoung ? shortLifePausesMs : restartPausesMs)
      for (const listener of listeners) listener.down(sentence)
    })
  }

  function setUp(pausesMs = restartPausesMs): Promise<void> {
    starting = true
    answering = startAgain(pausesMs)
    up = answering.then(warmUpAgain).finally(() => {
      starting = false
    })
    // Whoever waits for the agent sees the rejection; nobody may be waiting.
    up.catch(() => undefined)
    return up
  }

  async function warmUpAgain(): Promise<void> {
    await warm().catch((error) => log("warm-up failed", { error: String(error) }))
  }

  async function startAgain(pausesMs: number[]): Promise<void> {
    await giveUp(running, "at once")
    let failure: unknown
    for (const pauseMs of pausesMs) {
      await sleep(pauseMs)
      if (closed) throw new Error("The agent is closed.")
      try {
        // On a full disk its start does not fail, it hangs until its deadline.
        if (await isDiskFull(options.home, leastBytes)) throw new Error("The disk is full")
        running = await start(options)
        watch(running)
        return
      } catch (error) {
        failure = error
        log("the agent did not start", { error: String(error) })
      }
    }
    throw failure
  }

  async function warm(): Promise<void> {
    const { opencode, stub } = running
    try {
      await warmUp(opencode, spec.deadlines.warmUpMs)
    } finally {
      stub.close()
    }
  }

  return {
    calls: delegate(() => running.opencode),
    models: new Set(spec.models.map(({ id }) => id)),
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    whenUp: () => up.catch(() => setUp()),
    whenAnswering: () => answering,
    restart: () => (starting ? up : setUp()),
    warmUp: warm,
    async close() {
      closed = true
      // A start that is under way fails at once, instead of being waited for.
      if (starting) await killLeftOver(markFile(options.scratch), log)
      await up.catch(() => undefined)
      await giveUp(running, "politely")
    },
  }
}

async function start(options: AgentOptions): Promise<Running> {
  const { spec, directory } = options
  const startedAt = performance.now()
  const elapsed = () => performance.now() - startedAt
  const stub = await startWarmUpStub()
  const instructions = await findInstructions(directory)
  const config = agentConfig({ spec, warmUpUrl: stub.url, instructions })
  const deadlineMs = spec.deadlines.agentMs
  const ended = new AbortController()
  try {
    const process = await startProcess({ ...options, config, deadlineMs })
    try {
      const opencode = connectOpencode({ ...process, directory })
      const events = await firstEvents(opencode, ended.signal, deadlineMs - elapsed())
      return { process, opencode, stub, events, ended, startedAtMs: performance.now() }
    } catch (error) {
      await process.stop("at once")
      throw error
    }
  } catch (error) {
    stub.close()
    throw error
  }
}

/** The event stream of a process that has just begun to listen and may still drop what it is asked. */
async function firstEvents(opencode: Opencode, signal: AbortSignal, deadlineMs: number) {
  const giveUpAt = performance.now() + deadlineMs
  let failure = "its health check does not answer"
  for (; performance.now() < giveUpAt; await sleep(pollMs)) {
    if (!(await opencode.isHealthy(healthMs))) continue
    try {
      return await opencode.events(signal)
    } catch (error) {
      failure = String(error)
    }
  }
  throw new Error(`OpenCode listens but was not ready in time: ${failure}. See its log.`)
}

async function giveUp({ process, stub, ended }: Running, how: "politely" | "at once") {
  ended.abort()
  stub.close()
  await process.stop(how)
}

/** Hands the event stream to the listeners, connecting again whenever it ends. */
async function follow({ opencode, events, ended }: Running, listeners: Listeners, log: Log) {
  const { signal } = ended
  for (let stream = events; ; ) {
    try {
      for await (const item of stream) hand(item, listeners, log)
      log("the agent's event stream ended")
    } catch (error) {
      if (!signal.aborted) log("the agent's event stream broke off", { error: String(error) })
    }
    const next = await reconnect(opencode, signal, log)
    if (!next) return
    stream = next
    for (const listener of listeners) listener.gap()
  }
}

async function reconnect(opencode: Opencode, signal: AbortSignal, log: Log) {
  while (!signal.aborted) {
    await sleep(reconnectMs)
    try {
      return await opencode.events(signal)
    } catch (error) {
      if (!signal.aborted) log("the agent's event stream does not open", { error: String(error) })
    }
  }
  return null
}

function hand(item: unknown, listeners: Listeners, log: Log): void {
  const decoded = decodeEvent(item)
  if (decoded.kind === "unreadable") log("an event of the agent is unreadable", decoded)
  if (decoded.kind !== "event") return
  for (const listener of listeners) listener.event(decoded.event)
}

function delegate(current: () => Opencode): AgentCalls {
  return {
    createSession: (title) => current().createSession(title),
    hasSession: (id) => current().hasSession(id),
    deleteSession: (id) => current().deleteSession(id),
    prompt: (prompt) => current().prompt(prompt),
    steer: (prompt) => current().steer(prompt),
    abort: (id) => current().abort(id),
    status: (id) => current().status(id),
    messagesFrom: (id, messageId) => current().messagesFrom(id, messageId),
    hasMessage: (id, messageId) => current().hasMessage(id, messageId),
    deleteMessage: (id, messageId) => current().deleteMessage(id, messageId),
    rejectPermission: (id) => current().rejectPermission(id),
    rejectQuestion: (id) => current().rejectQuestion(id),
  }
}
