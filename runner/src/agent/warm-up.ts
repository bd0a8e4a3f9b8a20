import { once } from "node:events"
import { createServer, type ServerResponse } from "node:http"
import { warmUpModel } from "./config.ts"
import { messageIds } from "./message-id.ts"
import type { Opencode } from "./opencode.ts"

export type WarmUpStub = { url: string; close(): void }

/** A model on loopback that answers every prompt with one word, so that warming up leaves no trace at the broker. */
export async function startWarmUpStub(): Promise<WarmUpStub> {
  const server = createServer((request, response) => {
    request.resume().once("end", () => answer(response))
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("The stub has no port.")
  return {
    url: `http://127.0.0.1:${address.port}/v1`,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

function answer(response: ServerResponse): void {
  const chunk = (delta: object, finish_reason: string | null) => {
    const choice = { index: 0, delta, finish_reason }
    const body = { id: "warm-up", object: "chat.completion.chunk", created: 0, model: "warm-up" }
    return `data: ${JSON.stringify({ ...body, choices: [choice] })}\n\n`
  }
  response.writeHead(200, { "content-type": "text/event-stream" })
  response.write(chunk({ role: "assistant", content: "ok" }, null))
  response.end(`${chunk({}, "stop")}data: [DONE]\n\n`)
}

/**
 * Has OpenCode answer a prompt in a session that is thrown away, so that the first real prompt does not pay for loading
 * its tools and libraries.
 */
export async function warmUp(opencode: Opencode, deadlineMs: number): Promise<void> {
  const sessionId = await opencode.createSession("Warm-up")
  try {
    await opencode.ask(
      {
        sessionId,
        messageId: messageIds()(Date.now()),
        model: `${warmUpModel.providerID}/${warmUpModel.modelID}`,
        agent: "build",
        text: "Say ok.",
      },
      deadlineMs,
    )
  } finally {
    await opencode.deleteSession(sessionId)
  }
}
