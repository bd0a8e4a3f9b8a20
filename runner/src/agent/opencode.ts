import { createOpencodeClient } from "@opencode-ai/sdk/v2/client"
import * as z from "zod"
import { splitModelId } from "./config.ts"
import { eventData } from "./event-stream.ts"
import { type AgentMessage, type AgentStatus, messagesSchema, statusSchema } from "./wire.ts"

const callMs = 15_000
/** A first prompt loads the model's library before it is answered. */
const promptMs = 60_000
/** OpenCode sends a heartbeat every 10 s. */
const streamSilenceMs = 30_000
const firstPage = 50

/** A call that OpenCode refused or did not answer. `status` is null when there was no answer. */
export class AgentCallFailed extends Error {
  readonly status: number | null

  constructor(call: string, status: number | null, said: string) {
    super(`OpenCode ${status === null ? "did not answer" : `refused (${status})`} ${call}: ${said}`)
    this.status = status
  }
}

export type AgentPrompt = {
  sessionId: string
  messageId: string
  /** `provider/model`. */
  model: string
  agent: string
  text: string
}

export type Opencode = ReturnType<typeof connectOpencode>

/** OpenCode's HTTP calls that the runner needs, each with a deadline. All reject with AgentCallFailed. */
export function connectOpencode(options: { url: string; password: string; directory: string }) {
  const headers = { authorization: `Basic ${btoa(`opencode:${options.password}`)}` }
  const client = createOpencodeClient({
    baseUrl: options.url,
    directory: options.directory,
    headers,
  })

  return {
    async isHealthy(deadlineMs: number): Promise<boolean> {
      const { data } = await client.global
        .health(within(deadlineMs))
        .catch(() => ({ data: undefined }))
      return data?.healthy === true
    },

    /** A title keeps OpenCode from asking the model for one. */
    async createSession(title: string): Promise<string> {
      return (await answer("session.create", client.session.create({ title }, within(callMs)))).id
    },

    async hasSession(sessionID: string): Promise<boolean> {
      const call = client.session.get({ sessionID }, within(callMs))
      return found(answer("session.get", call))
    },

    async deleteSession(sessionID: string): Promise<void> {
      await answer("session.delete", client.session.delete({ sessionID }, within(callMs)))
    },

    /** Returns when OpenCode has taken the prompt, not when it is answered. */
    async prompt(prompt: AgentPrompt): Promise<void> {
      const call = client.session.promptAsync(promptBody(prompt), within(promptMs))
      await answer("session.promptAsync", call)
    },

    /** Starts nothing: a turn that runs reads it at its next step. Returns when it is stored. */
    async steer(prompt: AgentPrompt): Promise<void> {
      const call = client.session.prompt({ ...promptBody(prompt), noReply: true }, within(callMs))
      await answer("session.prompt", call)
    },

    /** Returns when the prompt is answered. */
    async ask(prompt: AgentPrompt, deadlineMs: number): Promise<void> {
      const call = client.session.prompt(promptBody(prompt), within(deadlineMs))
      await answer("session.prompt", call)
    },

    async abort(sessionID: string): Promise<void> {
      await answer("session.abort", client.session.abort({ sessionID }, within(callMs)))
    },

    async status(sessionID: string): Promise<AgentStatus["type"]> {
      const all = await answer("session.status", client.session.status({}, within(callMs)))
      const status = z.record(z.string(), statusSchema).parse(all)[sessionID]
      return status?.type ?? "idle"
    },

    /** The session's messages from `messageId` on, in their order; all when there is no such message. */
    async messagesFrom(sessionID: string, messageId: string | null): Promise<AgentMessage[]> {
      for (let limit = firstPage; ; limit *= 4) {
        const page = messageId === null ? { sessionID } : { sessionID, limit }
        const call = client.session.messages(page, within(callMs))
        const messages = messagesSchema.parse(await answer("session.messages", call))
        const start = messages.findIndex(({ info }) => info.id === messageId)
        if (start >= 0) return messages.slice(start)
        if (messageId === null || messages.length < limit) return messages
      }
    },

    async hasMessage(sessionID: string, messageID: string): Promise<boolean> {
      const call = client.session.message({ sessionID, messageID }, within(callMs))
      return found(answer("session.message", call))
    },

    async deleteMessage(sessionID: string, messageID: string): Promise<void> {
      const call = client.session.deleteMessage({ sessionID, messageID }, within(callMs))
      await answer("session.deleteMessage", call)
    },

    async rejectPermission(requestID: string): Promise<void> {
      const call = client.permission.reply({ requestID, reply: "reject" }, within(callMs))
      await answer("permission.reply", call)
    },

    async rejectQuestion(requestID: string): Promise<void> {
      await answer("question.reject", client.question.reject({ requestID }, within(callMs)))
    },

    /** The global event stream, until it ends or falls silent. It is connected when this resolves. */
    async events(signal: AbortSignal): Promise<AsyncGenerator<unknown>> {
      const silence = new AbortController()
      const response = await fetch(`${options.url}/global/event`, {
        headers,
        signal: AbortSignal.any([signal, silence.signal]),
      })
      if (!response.ok || !response.body) {
        throw new AgentCallFailed("global.event", response.status, response.statusText)
      }
      return parsed(eventData(response.body), silence)
    },
  }
}

const promptBody = (prompt: AgentPrompt) => ({
  sessionID: prompt.sessionId,
  messageID: prompt.messageId,
  // Without them the session would stick to what an earlier prompt chose.
  model: splitModelId(prompt.model),
  agent: prompt.agent,
  parts: [{ type: "text" as const, text: prompt.text }],
})

async function* parsed(data: AsyncGenerator<string>, silence: AbortController) {
  const alarm = () => setTimeout(() => silence.abort(), streamSilenceMs)
  let timer = alarm()
  try {
    for await (const text of data) {
      clearTimeout(timer)
      timer = alarm()
      if (!isCopy(text)) yield JSON.parse(text) as unknown
    }
  } finally {
    clearTimeout(timer)
  }
}

/** Every stored event comes once more for the agent's own syncing, whole; reading its head saves parsing it. */
function isCopy(text: string): boolean {
  const payload = '"payload":{'
  const start = text.slice(0, 2_000).indexOf(payload)
  return start >= 0 && text.startsWith('"type":"sync"', start + payload.length)
}

const within = (ms: number) => ({ signal: AbortSignal.timeout(ms) })

type Result<Data> = { data?: Data; error?: unknown; response?: Response }

async function answer<Data>(call: string, result: Promise<Result<Data>>): Promise<Data> {
  const { data, error, response } = await result.catch((cause: unknown): Result<Data> => {
    return { error: cause }
  })
  if (error === undefined && data !== undefined) return data
  const status = response && !response.ok ? response.status : null
  throw new AgentCallFailed(call, status, sentenceOf(error))
}

function sentenceOf(error: unknown): string {
  if (error instanceof Error) return error.message
  return JSON.stringify(error)?.slice(0, 500) ?? "an empty answer"
}

async function found(call: Promise<unknown>): Promise<boolean> {
  try {
    await call
    return true
  } catch (error) {
    if (error instanceof AgentCallFailed && error.status === 404) return false
    throw error
  }
}
