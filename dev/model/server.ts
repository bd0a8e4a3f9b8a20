import { randomUUID } from "node:crypto"
import { once } from "node:events"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { giveUp, portOption, readOptions } from "../command-line.ts"
import { assertFree } from "../stack/free-ports.ts"
import { aborted, stopSignal } from "../stop-signal.ts"
import { chatCompletions } from "./chat-completions.ts"
import { RequestRefused } from "./conversation.ts"
import { messages } from "./messages.ts"
import { sendJson, streamedOutput, wholeOutput } from "./output.ts"
import { clockUntil, perform } from "./perform.ts"
import { respond } from "./respond.ts"
import { responses } from "./responses.ts"
import type { WireForm } from "./wire.ts"

/**
 * A model that plays scripts, for OpenCode and anything else that speaks OpenAI chat completions,
 * OpenAI responses or Anthropic messages. It takes any key and any model name.
 */
const forms: WireForm[] = [chatCompletions, responses, messages]
const modelId = "demo-model"
const largestRequestBytes = 32 * 1024 * 1024
const charactersPerToken = 4

export type RunningModel = { url: string; close: () => Promise<void> }

/** Listens on 127.0.0.1, on a free port when none is given. Rejects when the port is taken. */
export async function startModel({ port = 0 }: { port?: number } = {}): Promise<RunningModel> {
  const server = createServer((request, response) => void handle(request, response))
  // Clients that keep connections open would otherwise write into one that is just being closed.
  server.keepAliveTimeout = 65_000
  server.listen(port, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("The server has no port.")
  return {
    url: `http://127.0.0.1:${address.port}`,
    async close() {
      const closed = once(server, "close")
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const gone = new AbortController()
  response.on("close", () => gone.abort())
  // A write that races with the client's leaving fails with an error of its own.
  response.on("error", () => gone.abort())

  const path = pathOf(request)
  const form = forms.find((candidate) => candidate.path === path)
  try {
    if (request.method === "GET") sendJson(response, 200, contentOf(path))
    else if (form && request.method === "POST") await answer(form, request, response, gone.signal)
    else throw new RequestRefused(404, `There is no ${request.method} ${path} here.`)
  } catch (error) {
    if (gone.signal.aborted || request.errored) return
    refuse(form ?? chatCompletions, response, error)
  }
}

/** The path as the forms name it: without query and without a leading `/v1`. */
function pathOf(request: IncomingMessage): string {
  return (request.url ?? "/").replace(/\?.*$/s, "").replace(/^\/v1(?=\/)/, "")
}

function contentOf(path: string): unknown {
  if (path === "/health") return { status: "ok" }
  if (path === "/models") {
    const model = { id: modelId, object: "model", created: 0, owned_by: "agent-ops" }
    return { object: "list", data: [model] }
  }
  throw new RequestRefused(404, `There is no GET ${path} here.`)
}

async function answer(
  form: WireForm,
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const text = await readBody(request)
  const conversation = form.decode(parseBody(text))
  const steps = respond(conversation)
  const id = randomUUID()
  const head = {
    id,
    model: conversation.model,
    createdAtSeconds: Math.floor(Date.now() / 1000),
    inputTokens: Math.ceil(text.length / charactersPerToken),
  }
  const output = conversation.stream
    ? streamedOutput(form, head, conversation, response, signal)
    : wholeOutput(form, head, response, signal)
  await perform(steps, output, id, clockUntil(signal))
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    const buffer = Buffer.from(chunk)
    bytes += buffer.length
    if (bytes <= largestRequestBytes) chunks.push(buffer)
  }
  if (bytes > largestRequestBytes) {
    throw new RequestRefused(413, `The request is over ${largestRequestBytes} bytes; send less.`)
  }
  return Buffer.concat(chunks).toString("utf8")
}

function parseBody(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new RequestRefused(400, "The request body is not valid JSON.")
  }
}

function refuse(form: WireForm, response: ServerResponse, error: unknown): void {
  const refused = error instanceof RequestRefused
  const status = refused ? error.status : 500
  if (!refused) console.error("scripted model:", error)
  if (response.headersSent) return void response.destroy()
  const message = refused ? error.message : "The scripted model broke; see its output."
  sendJson(response, status, form.error(status, message))
}

async function main(): Promise<void> {
  const usage = "npm run dev:model -- [--port N]"
  const port = portOption(readOptions({ port: { type: "string", default: "0" } }, usage).port)
  await assertFree(port, "", "Choose another --port.").catch(giveUp)
  const stop = stopSignal()
  const model = await startModel({ port })
  console.log(`scripted model ready at ${model.url}`)
  await aborted(stop)
  await model.close()
}

if (import.meta.main) await main()
