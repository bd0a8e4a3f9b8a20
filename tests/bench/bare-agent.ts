import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { agentConfig } from "../../runner/src/agent/config.ts"
import { eventData } from "../../runner/src/agent/event-stream.ts"
import { messageIds } from "../../runner/src/agent/message-id.ts"
import { connectOpencode } from "../../runner/src/agent/opencode.ts"
import { skipPluginInstall } from "../../runner/src/agent/plugin-install.ts"
import { startProcess } from "../../runner/src/agent/process.ts"
import { modelCatalogue } from "../../server/domain/models/index.ts"
import type { Turn, TurnDriver } from "./turn.ts"

const PROGRAM = fileURLToPath(
  new URL("../../node_modules/opencode-linux-x64/bin/opencode", import.meta.url),
)
const START_DEADLINE_MS = 90_000
const MODEL = "scripted/demo"

/** OpenCode alone: same binary, same configuration, the model's own address in place of the broker's. */
export async function startBareAgent(
  home: string,
  directory: string,
  modelUrl: string,
): Promise<TurnDriver> {
  const scratch = join(home, "scratch")
  mkdirSync(scratch, { recursive: true })
  const models = modelCatalogue({ modelProviders: ["scripted"], compatibleModels: [] })
  const config = agentConfig({
    spec: { roomsUrl: modelUrl, modelToken: "none", models },
    warmUpUrl: `${modelUrl}/v1`,
    instructions: [],
  })
  for (const provider of Object.values(config.provider)) provider.options.baseURL = `${modelUrl}/v1`
  // As ours: without it the agent goes on installing in the background while it is measured.
  await skipPluginInstall(home)
  const agent = await startProcess({
    program: PROGRAM,
    base: { PATH: process.env.PATH ?? "" },
    home,
    directory,
    scratch,
    config,
    deadlineMs: START_DEADLINE_MS,
    log: () => undefined,
  })
  const { url, password } = agent
  const calls = connectOpencode({ url, password, directory })
  const sessionId = await calls.createSession("bench")
  const stream = await EventStream.open(url, password)
  const mintMessageId = messageIds()
  return {
    play: async (text) => {
      const turn = stream.follow()
      const messageId = mintMessageId(Date.now())
      await calls.prompt({ sessionId, messageId, model: MODEL, agent: "build", text })
      return turn
    },
    close: async () => {
      stream.close()
      await agent.stop("politely")
    },
  }
}

/** The stream that a web page of OpenCode's own would read, measured as it comes. */
class EventStream {
  readonly #abort = new AbortController()
  #bytes = 0
  #onEvent: (type: string, text: string) => void = () => {}

  static async open(url: string, password: string): Promise<EventStream> {
    const stream = new EventStream()
    const answer = await fetch(`${url}/global/event`, {
      headers: { authorization: `Basic ${btoa(`opencode:${password}`)}` },
      signal: stream.#abort.signal,
    })
    if (!answer.body) throw new Error("OpenCode gave no event stream.")
    void stream.#read(answer.body)
    return stream
  }

  /** From the call to the session's next idle. */
  follow(): Promise<Turn> {
    const startedAt = performance.now()
    const bytesBefore = this.#bytes
    let firstTokenMs = Number.NaN
    return new Promise((resolve) => {
      this.#onEvent = (type) => {
        if (type === "message.part.delta" && Number.isNaN(firstTokenMs)) {
          firstTokenMs = performance.now() - startedAt
        }
        if (type === "session.idle") resolve({ firstTokenMs, bytes: this.#bytes - bytesBefore })
      }
    })
  }

  close(): void {
    this.#abort.abort()
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    try {
      for await (const text of eventData(body)) {
        // "data: " and the blank line travel too.
        this.#bytes += Buffer.byteLength(text) + 8
        const type: string | undefined = JSON.parse(text).payload?.type
        if (type) this.#onEvent(type, text)
      }
    } catch (error) {
      if (!this.#abort.signal.aborted) throw error
    }
  }
}
