import { describe, expect, test } from "vitest"
import { SERVER_AUDIENCE } from "#protocol/token"
import { SUBPROTOCOL } from "#protocol/version"
import { signCall } from "../../server/auth/tokens.ts"
import { closeOf } from "./room-clients.ts"
import { fence, newSessionId, serverSigner, sessionAudience, sessionPath } from "./start-rooms.ts"
import { keys, signer, startedRooms } from "./started-rooms.ts"

const shared = startedRooms()

describe("a call of the server", () => {
  const sessionId = newSessionId()
  const path = sessionPath(sessionId)
  const body = JSON.stringify(fence(1))
  const post = async (token: string | null, over: { path?: string; body?: BodyInit } = {}) => {
    const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {}
    const init = { method: "POST", headers, body: over.body ?? body, duplex: "half" }
    const response = await fetch(shared.rooms.url + (over.path ?? path), init)
    return { status: response.status, text: await response.text() }
  }

  test("that is signed is answered, and repeating it changes nothing", async () => {
    const token = await signer.call(path, body)
    const first = await post(token)
    expect(first).toEqual({ status: 200, text: '{"ok":true,"value":{"ended":null}}' })
    expect(await post(token)).toEqual(first)
  })

  test("whose body or path is not the signed one is refused", async () => {
    const token = await signer.call(path, body)
    expect((await post(token, { body: body.replace("1", "2") })).status).toBe(401)
    expect((await post(token, { body: `${body} ` })).status).toBe(401)
    expect((await post(token, { path: sessionPath(newSessionId()) })).status).toBe(401)
    expect((await post(token, { path: "/parties/bus/team_00000001" })).status).toBe(401)
  })

  test("that somebody else signed, or for something else, is refused", async () => {
    const now = new Date()
    const tokens = [
      null,
      "garbage",
      await serverSigner({ ...keys, server: keys.rooms }).call(path, body),
      await signer.call(path, body, SERVER_AUDIENCE),
      await signer.runnerToken(sessionId),
      await signer.ticket(sessionAudience(sessionId)),
      await signCall(
        signer.key,
        { audience: "rooms", path, body },
        new Date(now.getTime() - 120_000),
      ),
    ]
    for (const token of tokens) expect((await post(token)).status).toBe(401)
  })

  test("that makes no sense is answered with what is wrong", async () => {
    const odd = JSON.stringify({ call: "fence", generation: -1 })
    const { status, text } = await post(await signer.call(path, odd), { body: odd })
    expect(status).toBe(400)
    expect(text).toContain("generation")
  })

  test("that is no JSON is answered without a stack", async () => {
    const { status, text } = await post(await signer.call(path, "{"), { body: "{" })
    expect({ status, text }).toEqual({ status: 400, text: "A call is JSON" })
  })

  test("that is too large is refused before it is held", async () => {
    const large = "x".repeat(5 * 1024 * 1024)
    const { status } = await post(await signer.call(path, large), { body: large })
    expect(status).toBe(413)
  })

  test("uses POST", async () => {
    expect((await fetch(shared.rooms.url + path)).status).toBe(405)
  })
})

describe("a team's bus", () => {
  const teamId = "team_00000042"
  const url = () => `${shared.rooms.url}/parties/bus/${teamId}`
  const path = `/parties/bus/${teamId}`
  const call = async (content: object) => {
    const body = JSON.stringify(content)
    const headers = { authorization: `Bearer ${await signer.call(path, body)}` }
    return (await fetch(url(), { method: "POST", headers, body })).status
  }

  test("tells whoever holds a ticket for it, once each, until it is revoked", async () => {
    const ticket = await signer.ticket(`bus:${teamId}`)
    const watching = closeOf(url(), [SUBPROTOCOL, ticket], {}, "ping")
    const change = { version: 3, status: "working", reason: "" }
    const sessionId = newSessionId()
    await watching.until('"welcome"')
    expect(await call({ call: "session", sessionId, change })).toBe(200)
    await watching.until('"session"')
    expect(await call({ call: "revoke", subject: "usr_00000001" })).toBe(200)
    const { code, frames } = await watching
    expect(code).toBe(4403)
    expect(frames.filter((frame) => frame !== "pong").map((frame) => JSON.parse(frame))).toEqual([
      { type: "welcome", protocol: 1 },
      { type: "session", sessionId, ...change },
    ])
    expect(await closeOf(url(), [SUBPROTOCOL, ticket])).toMatchObject({ code: 4401 })
  })

  test("does not take a session's ticket or a runner", async () => {
    const sessionId = newSessionId()
    const ticket = await signer.ticket(sessionAudience(sessionId))
    expect(await closeOf(url(), [SUBPROTOCOL, ticket])).toMatchObject({ code: 4401 })
    const authorization = `Bearer ${await signer.runnerToken(sessionId)}`
    expect(await closeOf(url(), [SUBPROTOCOL], { authorization })).toMatchObject({ code: 4401 })
  })
})
