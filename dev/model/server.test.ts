import { once } from "node:events"
import { connect } from "node:net"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type RunningModel, startModel } from "./server.ts"
import { parseFrames } from "./testing.ts"

let model: RunningModel

beforeAll(async () => {
  model = await startModel()
})
afterAll(() => model.close())

const deadlineMs = 5_000

function post(path: string, body: unknown, signal = AbortSignal.timeout(deadlineMs)) {
  const text = typeof body === "string" ? body : JSON.stringify(body)
  return fetch(model.url + path, { method: "POST", body: text, signal })
}

function prompt(...steps: object[]): string {
  return `\`\`\`agent-script\n${JSON.stringify(steps)}\n\`\`\``
}

/** The same prompt in each wire form. */
const forms = [
  [
    "/chat/completions",
    (content: string) => ({ model: "m", messages: [{ role: "user", content }] }),
  ],
  ["/responses", (input: string) => ({ model: "m", input })],
  ["/messages", (content: string) => ({ model: "m", messages: [{ role: "user", content }] })],
] as const

describe.each(forms)("%s", (path, request) => {
  test("answers in whole, with and without /v1", async () => {
    for (const prefix of ["", "/v1"]) {
      const answer = await post(prefix + path, request(prompt({ say: "hello" })))
      expect(answer.status).toBe(200)
      expect(answer.headers.get("content-type")).toBe("application/json")
      expect(await answer.text()).toContain("hello")
    }
  })

  test("streams when asked", async () => {
    const steps = prompt({ say: "ab", repeat: 3, everyMs: 2 })
    const answer = await post(path, { ...request(steps), stream: true })
    expect(answer.headers.get("content-type")).toBe("text/event-stream")
    expect((await answer.text()).match(/"ab"/g)?.length).toBeGreaterThanOrEqual(3)
  })

  test("gives the status a script asks for, or an error frame when words went before", async () => {
    expect(
      (await post(path, { ...request(prompt({ httpError: 429 })), stream: true })).status,
    ).toBe(429)
    const late = prompt({ say: "x" }, { httpError: 429 })
    const answer = await post(path, { ...request(late), stream: true })
    expect(answer.status).toBe(200)
    expect(JSON.stringify(parseFrames(await answer.text()).at(-1))).toContain("HTTP 429")
    expect((await post(path, request(late))).status).toBe(429)
  })

  test("sends a raw text as it is and ends", async () => {
    const raw = prompt({ raw: "data: {broken" })
    expect(await (await post(path, { ...request(raw), stream: true })).text()).toBe("data: {broken")
  })

  test("refuses a bad script with 400 and a sentence that names the step", async () => {
    const answer = await post(path, request(prompt({ say: "x" }, { shout: "y" })))
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({
      error: { message: expect.stringContaining("step 2 must have exactly one of") },
    })
  })

  test("reports usage: a quarter of the request's characters in, its chunks out", async () => {
    const body = JSON.stringify(request(prompt({ think: "t" }, { say: "x", repeat: 4 })))
    const text = await (await post(path, body)).text()
    expect(text).toMatch(new RegExp(`"(prompt|input)_tokens":${Math.ceil(body.length / 4)},`))
    expect(text).toMatch(/"(completion|output)_tokens":5[,}]/)
  })
})

describe("the server", () => {
  const chat = forms[0][1]

  test("says that it is well and which model it has", async () => {
    expect(await (await fetch(`${model.url}/health`)).json()).toEqual({ status: "ok" })
    expect(await (await fetch(`${model.url}/v1/models`)).json()).toMatchObject({
      data: [{ id: "demo-model" }],
    })
    expect((await fetch(`${model.url}/nowhere`)).status).toBe(404)
    expect((await post("/nowhere", {})).status).toBe(404)
  })

  test("takes 32 MB and refuses more", async () => {
    const megabyte = 1024 * 1024
    const filler = (bytes: number) => chat(`${prompt({ say: "x" })}\n${"x".repeat(bytes)}`)
    expect((await post("/chat/completions", filler(31 * megabyte))).status).toBe(200)
    expect((await post("/chat/completions", filler(33 * megabyte))).status).toBe(413)
  })

  test("refuses what is not JSON", async () => {
    expect((await post("/v1/messages", "{")).status).toBe(400)
  })

  test("survives clients that leave in the middle, of a request or of an answer", async () => {
    const { port } = new URL(model.url)
    const socket = connect(Number(port), "127.0.0.1")
    socket.end("POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{")
    await once(socket.resume(), "close")

    const leaving = new AbortController()
    const endless = prompt({ say: "x".repeat(1000), repeat: 1_000_000 }, { hang: true })
    const body = { ...chat(endless), stream: true }
    const answer = await post("/chat/completions", body, leaving.signal)
    expect(answer.status).toBe(200)
    leaving.abort()
    expect((await fetch(`${model.url}/health`)).status).toBe(200)
  })

  test("says nothing more when a script hangs, and can be closed all the same", async () => {
    const own = await startModel()
    const steps = prompt({ say: "first" }, { hang: true }, { say: "never" })
    const answer = await fetch(`${own.url}/chat/completions`, {
      method: "POST",
      body: JSON.stringify({ ...chat(steps), stream: true }),
      signal: AbortSignal.timeout(deadlineMs),
    })
    const reader = answer.body?.getReader()
    const first = new TextDecoder().decode((await reader?.read())?.value)
    expect(first).toContain('"role":"assistant"')
    await own.close()
    await expect(reader?.read()).rejects.toThrow()
  })

  test("does not start on a port that is taken", async () => {
    await expect(startModel({ port: Number(new URL(model.url).port) })).rejects.toThrow(
      /EADDRINUSE/,
    )
  })
})
