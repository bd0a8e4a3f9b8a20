import { randomUUID } from "node:crypto"
import { WebSocket } from "ws"
import { promptIdSchema, sessionIdSchema } from "#protocol/ids"
import { PROTOCOL_VERSION } from "#protocol/version"
import type { ToViewer } from "#protocol/viewer"
import type { StackLine } from "../../dev/stack/stack.ts"
import { apiClient } from "../../server/client.ts"
import type { Turn, TurnDriver } from "./turn.ts"

const BOOT_DEADLINE_MS = 180_000
const POLL_MS = 100

/** A session of the whole product, asked by its API and watched on its room's socket. */
export async function startOurSession(stack: StackLine, repoUrl: string): Promise<TurnDriver> {
  const api = apiClient(stack)
  const created = await api.session.create.mutate({ repoUrl, prompt: "Say hello." })
  const sessionId = sessionIdSchema.parse(created.id)
  await untilIdle(async () => (await api.session.get.query({ sessionId })).status)
  const { url, ticket, protocol } = await api.session.connect.mutate({ sessionId })
  const socket = new WebSocket(url, [protocol, ticket], { perMessageDeflate: false })
  const watch = new Watch(socket)
  await watch.live
  return {
    play: async (text) => {
      const promptId = promptIdSchema.parse(randomUUID())
      const turn = watch.follow(promptId)
      await api.prompt.send.mutate({ promptId, sessionId, text })
      return turn
    },
    close: async () => socket.terminate(),
  }
}

class Watch {
  readonly live: Promise<void>
  #bytes = 0
  #onMessage: (message: ToViewer) => void = () => {}

  constructor(socket: WebSocket) {
    const live = Promise.withResolvers<void>()
    this.live = live.promise
    socket.on("message", (data) => {
      const text = String(data)
      this.#bytes += Buffer.byteLength(text)
      const message: ToViewer = JSON.parse(text)
      if (message.type === "welcome") {
        const hello = { type: "hello", protocol: PROTOCOL_VERSION, since: "0" }
        socket.send(JSON.stringify(hello))
      }
      if (message.type === "replay") live.resolve()
      this.#onMessage(message)
      socket.send(JSON.stringify({ type: "seen", received: this.#bytes }))
    })
  }

  /** From the call to the prompt's terminal entry. */
  follow(promptId: string): Promise<Turn> {
    const startedAt = performance.now()
    const bytesBefore = this.#bytes
    let firstTokenMs = Number.NaN
    return new Promise((resolve) => {
      this.#onMessage = (message) => {
        if (message.type !== "frame") return
        if (Number.isNaN(firstTokenMs) && carriesText(message, promptId)) {
          firstTokenMs = performance.now() - startedAt
        }
        for (const entry of message.entries ?? []) {
          if (entry.kind !== "prompt" || entry.promptId !== promptId) continue
          if (entry.state === "dispatched" || entry.state === "running") continue
          if (entry.state !== "succeeded") throw new Error(`The prompt ended ${entry.state}.`)
          resolve({ firstTokenMs, bytes: this.#bytes - bytesBefore })
        }
      }
    })
  }
}

function carriesText(frame: Extract<ToViewer, { type: "frame" }>, promptId: string): boolean {
  if ((frame.deltas ?? []).length > 0) return true
  return (frame.entries ?? []).some(
    (entry) => entry.kind === "text" && entry.turnId === promptId && entry.text !== "",
  )
}

async function untilIdle(status: () => Promise<string>): Promise<void> {
  const giveUpAt = performance.now() + BOOT_DEADLINE_MS
  for (;;) {
    const now = await status()
    if (now === "idle") return
    if (now === "failed" || performance.now() > giveUpAt) throw new Error(`The session is ${now}.`)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}
