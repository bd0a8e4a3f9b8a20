import { once } from "node:events"
import type { ServerResponse } from "node:http"
import type { Conversation } from "./conversation.ts"
import type { ReplyOutput } from "./perform.ts"
import type { ReplyHead, ReplyPart, WireForm } from "./wire.ts"

/**
 * An answer sent as it is played. The head goes out with the first frame, so an error before it
 * has its HTTP status, and one after it is an error frame.
 */
export function streamedOutput(
  form: WireForm,
  head: ReplyHead,
  conversation: Conversation,
  response: ServerResponse,
  signal: AbortSignal,
): ReplyOutput {
  const encoder = form.stream(head, conversation)
  let chunks = 0

  const send = async (frames: string) => {
    signal.throwIfAborted()
    if (!response.headersSent) {
      response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" })
    }
    if (!response.write(frames)) await once(response, "drain", { signal })
  }
  const sendChunk = (frames: string) => {
    chunks += 1
    return send(frames)
  }
  const end = async (frames: string) => {
    await send(frames)
    response.end()
  }

  return {
    reasoning: (text) => sendChunk(encoder.reasoning(text)),
    text: (text) => sendChunk(encoder.text(text)),
    call: (call) => sendChunk(encoder.call(call)),
    finish: () => end(encoder.finish(chunks)),
    raw: end,
    async fail(status, message) {
      if (response.headersSent) await end(encoder.fail(status, message))
      else sendJson(response, status, form.error(status, message))
    },
    hang: () => untilGone(signal),
  }
}

/** An answer sent in one piece when it has been played. */
export function wholeOutput(
  form: WireForm,
  head: ReplyHead,
  response: ServerResponse,
  signal: AbortSignal,
): ReplyOutput {
  const parts: ReplyPart[] = []
  let chunks = 0

  const grow = async (type: "reasoning" | "text", text: string) => {
    chunks += 1
    const last = parts.at(-1)
    if (last?.type === type) last.text += text
    else parts.push({ type, text })
  }

  return {
    reasoning: (text) => grow("reasoning", text),
    text: (text) => grow("text", text),
    async call(call) {
      chunks += 1
      parts.push({ type: "call", call })
    },
    async finish() {
      sendJson(response, 200, form.whole(head, parts, chunks))
    },
    async raw(text) {
      response.writeHead(200, { "content-type": "application/json" }).end(text)
    },
    async fail(status, message) {
      sendJson(response, status, form.error(status, message))
    },
    hang: () => untilGone(signal),
  }
}

async function untilGone(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort")
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
}
