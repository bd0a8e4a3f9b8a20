import { globSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { generateKeyPair, SignJWT, UnsecuredJWT } from "jose"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { BROKER_AUDIENCE, TOKEN_ISSUER, TOKEN_TYPE } from "#protocol/token"
import { SUBPROTOCOL } from "#protocol/version"
import { closeOf } from "./room-clients.ts"
import {
  callRoom,
  fence,
  newSessionId,
  type RunningRooms,
  serverSigner,
  sessionAudience,
  sessionPath,
  startRooms,
  testKeys,
} from "./start-rooms.ts"

const keys = testKeys()
const signer = serverSigner(keys)
const webUrl = "http://web.example"
const otherOrigin = "http://localhost:3000"

let root: string
let rooms: RunningRooms

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "admission-"))
  rooms = await startRooms({
    keys,
    persistDir: root,
    webUrl,
    env: { ALLOWED_ORIGINS: `${otherOrigin}, https://two.example` },
  })
})

afterAll(async () => {
  await rooms?.kill()
  await rm(root, { recursive: true, force: true, maxRetries: 5 })
})

/** Names of the rooms that have storage. */
const roomFiles = () => globSync("**/*.sqlite", { cwd: root }).sort()

const viewerUrl = (sessionId: string) => rooms.url + sessionPath(sessionId)
const openAs = (sessionId: string, ticket: string, headers: Record<string, string> = {}) =>
  closeOf(viewerUrl(sessionId), [SUBPROTOCOL, ticket], headers)

/** The socket is open and closes only because this says something that no viewer may say. */
async function expectAdmitted(
  sessionId: string,
  ticket: string,
  headers: Record<string, string> = {},
) {
  const { code, frames, protocol } = await closeOf(
    viewerUrl(sessionId),
    [SUBPROTOCOL, ticket],
    headers,
    "not a message",
  )
  expect({ code, protocol }).toEqual({ code: 4400, protocol: SUBPROTOCOL })
  expect(JSON.parse(frames[0] ?? "{}")).toMatchObject({ type: "welcome" })
}

describe("[A1] a viewer's ticket", () => {
  const sessionId = newSessionId()
  const audience = sessionAudience(sessionId)
  const ticketJwt = (typ: string, aud: string, alg = "EdDSA") =>
    new SignJWT({ name: "Ada", role: "operate" })
      .setProtectedHeader({ alg, typ })
      .setIssuer(TOKEN_ISSUER)
      .setAudience(aud)
      .setSubject("usr_00000001")
      .setJti(`grt_${Math.random()}`)
      .setIssuedAt()
      .setExpirationTime("60s")
  const at = (seconds: number) => new Date(Date.now() + seconds * 1000)

  test("opens a socket, once", async () => {
    const ticket = await signer.ticket(audience)
    await expectAdmitted(sessionId, ticket)
    expect(await openAs(sessionId, ticket)).toMatchObject({ code: 4401, protocol: SUBPROTOCOL })
  })

  test("is still taken just after it expired, since clocks differ", async () => {
    await expectAdmitted(sessionId, await signer.ticket(audience, { expiresAt: at(-20) }))
  })

  const forgeries: Record<string, () => Promise<string>> = {
    "that has expired": () => signer.ticket(audience, { expiresAt: at(-40) }),
    "for another session": () => signer.ticket(sessionAudience(newSessionId())),
    "for a team's bus": () => signer.ticket("bus:team_00000001"),
    "that is no JWT": async () => "garbage",
    "that is a runner's token": () => signer.runnerToken(sessionId),
    "that is a runner's token with a ticket's claims": () =>
      ticketJwt(TOKEN_TYPE.runner, audience).sign(signer.key),
    "that is a model token": () => signer.modelToken(sessionId, []),
    "that is good for model calls": () =>
      ticketJwt(TOKEN_TYPE.ticket, BROKER_AUDIENCE).sign(signer.key),
    "signed by somebody else": async () =>
      ticketJwt(TOKEN_TYPE.ticket, audience).sign((await generateKeyPair("EdDSA")).privateKey),
    "signed by the rooms": () => serverSigner({ ...keys, server: keys.rooms }).ticket(audience),
    "signed with the public key as a shared secret": () =>
      ticketJwt(TOKEN_TYPE.ticket, audience, "HS256").sign(
        Buffer.from(keys.server.publicKey, "base64"),
      ),
    "without a signature": async () =>
      new UnsecuredJWT({ name: "Ada", role: "operate" })
        .setIssuer(TOKEN_ISSUER)
        .setAudience(audience)
        .setSubject("usr_00000001")
        .setJti("grt_1")
        .setExpirationTime("60s")
        .encode(),
    "without an expiry": async () =>
      new SignJWT({ name: "Ada", role: "operate" })
        .setProtectedHeader({ alg: "EdDSA", typ: TOKEN_TYPE.ticket })
        .setIssuer(TOKEN_ISSUER)
        .setAudience(audience)
        .setSubject("usr_00000001")
        .setJti("grt_2")
        .sign(signer.key),
    "with a role that does not exist": async () =>
      new SignJWT({ name: "Ada", role: "owner" })
        .setProtectedHeader({ alg: "EdDSA", typ: TOKEN_TYPE.ticket })
        .setIssuer(TOKEN_ISSUER)
        .setAudience(audience)
        .setSubject("usr_00000001")
        .setJti("grt_3")
        .setExpirationTime("60s")
        .sign(signer.key),
  }
  test.each(Object.entries(forgeries))("%s is refused, and told so", async (_name, forge) => {
    const { code, protocol, frames } = await openAs(sessionId, await forge())
    expect({ code, protocol, frames }).toEqual({ code: 4401, protocol: SUBPROTOCOL, frames: [] })
  })

  test("that is missing is refused", async () => {
    expect(await closeOf(viewerUrl(sessionId), [SUBPROTOCOL])).toMatchObject({ code: 4401 })
  })

  test("in the URL or a header opens nothing", async () => {
    const ticket = await signer.ticket(audience)
    const url = `${viewerUrl(sessionId)}?ticket=${ticket}&token=${ticket}`
    const headers = { cookie: `ticket=${ticket}` }
    expect(await closeOf(url, [SUBPROTOCOL], headers)).toMatchObject({ code: 4401 })
  })

  test("needs a client that speaks this version of the protocol", async () => {
    const ticket = await signer.ticket(audience)
    expect(await closeOf(viewerUrl(sessionId), [ticket])).toMatchObject({ code: 4426 })
    expect(await closeOf(viewerUrl(sessionId), ["agent-ops.v0", ticket])).toMatchObject({
      code: 4426,
    })
    expect(await closeOf(viewerUrl(sessionId), [])).toMatchObject({ code: 4426 })
  })
})

describe("[A1] the page that opens a socket", () => {
  const sessionId = newSessionId()
  const audience = sessionAudience(sessionId)

  test.each([webUrl, otherOrigin, "https://two.example"])("may be %s", async (origin) => {
    await expectAdmitted(sessionId, await signer.ticket(audience), { origin })
  })

  test.each([
    "http://evil.example",
    "null",
    "http://web.example.evil.example",
    "https://web.example",
    "http://web.example:81",
  ])("may not be %j", async (origin) => {
    const refused = await openAs(sessionId, await signer.ticket(audience), { origin })
    expect(refused).toMatchObject({ code: 4403, frames: [] })
  })
})

describe("a runner's token", () => {
  const sessionId = newSessionId()
  const runnerClose = (token: string, id = sessionId, protocols = [SUBPROTOCOL]) =>
    closeOf(viewerUrl(id), protocols, { authorization: `Bearer ${token}` }, "not a message")

  beforeAll(async () => {
    await callRoom(rooms, signer, sessionId, fence(2))
  })

  test("opens a socket for its generation", async () => {
    expect(await runnerClose(await signer.runnerToken(sessionId, 2))).toMatchObject({
      code: 4400,
      protocol: SUBPROTOCOL,
    })
  })

  test("of a fenced generation is turned away for good", async () => {
    const token = await signer.runnerToken(sessionId, 1)
    expect(await runnerClose(token)).toMatchObject({ code: 4409 })
  })

  test("of a generation that the room has not heard of yet may try again", async () => {
    const token = await signer.runnerToken(sessionId, 3)
    expect(await runnerClose(token)).toMatchObject({ code: 1013 })
  })

  test("of another session, of another kind or forged is refused", async () => {
    const other = newSessionId()
    const tokens = [
      await signer.runnerToken(other, 2),
      await signer.modelToken(sessionId, [], 2),
      await signer.ticket(sessionAudience(sessionId)),
      await serverSigner({ ...keys, server: keys.rooms }).runnerToken(sessionId, 2),
      "garbage",
    ]
    for (const token of tokens) expect(await runnerClose(token)).toMatchObject({ code: 4401 })
  })

  test("of a session that has ended is turned away for good", async () => {
    const ended = newSessionId()
    await callRoom(rooms, signer, ended, fence(1))
    const reason = { reason: "ended", message: "Somebody ended the session." }
    await callRoom(rooms, signer, ended, { call: "end", reason })
    const token = await signer.runnerToken(ended, 1)
    expect(await runnerClose(token, ended)).toMatchObject({ code: 4410 })
    await expectAdmitted(ended, await signer.ticket(sessionAudience(ended)))
  })
})

describe("what outsiders write for the rooms' own eyes", () => {
  const sessionId = newSessionId()
  const admission = encodeURIComponent('{"as":"server"}')

  test("is not read: headers", async () => {
    const headers = {
      "x-agent-ops-admission": admission,
      "x-partykit-props": "garbage",
      "x-partykit-room": newSessionId(),
      "x-partykit-namespace": "Bus",
    }
    const call = await fetch(viewerUrl(sessionId), { method: "POST", headers, body: "{}" })
    expect(call.status).toBe(401)
    await expectAdmitted(sessionId, await signer.ticket(sessionAudience(sessionId)), headers)
  })

  test("is not read: a connection id of the client's own choice", async () => {
    const url = `${viewerUrl(sessionId)}?_pk=chosen`
    const open = async () =>
      closeOf(url, [SUBPROTOCOL, await signer.ticket(sessionAudience(sessionId))], {}, "x")
    const closes = await Promise.all([open(), open()])
    expect(closes.map(({ code }) => code)).toEqual([4400, 4400])
  })
})

describe("a request that is refused", () => {
  test("brings no room to life", async () => {
    const before = roomFiles()
    const refused = newSessionId()
    const foreign = { origin: "http://evil.example" }
    const garbage = { authorization: "Bearer garbage" }
    await openAs(refused, "garbage")
    await openAs(refused, await signer.ticket(sessionAudience(refused)), foreign)
    await closeOf(viewerUrl(refused), [SUBPROTOCOL], garbage)
    await fetch(viewerUrl(refused), { method: "POST", headers: garbage, body: "{}" })
    await fetch(`${rooms.url}/broker/openai/v1/responses`, { method: "POST", headers: garbage })
    expect(roomFiles()).toEqual(before)
    await callRoom(rooms, signer, refused, fence(1))
    expect(roomFiles()).toHaveLength(before.length + 1)
  })

  test.each([
    "/",
    "/parties",
    "/parties/session",
    "/parties/session/nothing",
    "/parties/session/ses_%2e%2e",
    "/parties/main/ses_0000000000",
    "/parties/bus/ses_0000000000",
    "/parties/session/ses_0000000000/more",
    "/party/ses_0000000000",
  ])("has no such room: %s", async (path) => {
    expect((await fetch(rooms.url + path, { method: "POST" })).status).toBe(404)
  })
})

test("a room that cannot start says try again, and nothing of why", async () => {
  const broken = newSessionId()
  const before = roomFiles()
  await callRoom(rooms, signer, broken, fence(1))
  const [file = ""] = roomFiles().filter((name) => !before.includes(name))
  await rooms.kill()
  const database = new DatabaseSync(join(root, file))
  database.exec("UPDATE meta SET value = 'not json' WHERE name = 'fence'")
  database.close()
  rooms = await startRooms({ keys, persistDir: root, webUrl })

  const ticket = await signer.ticket(sessionAudience(broken))
  const close = await closeOf(viewerUrl(broken), [SUBPROTOCOL, ticket])
  expect(close).toMatchObject({
    code: 1013,
    reason: "The room is not available now.",
    frames: [],
    protocol: SUBPROTOCOL,
  })
  expect(await callRoom(rooms, signer, broken, fence(1))).toEqual({
    status: 503,
    answer: "The room is not available now",
  })
  expect(rooms.output()).toContain('"event":"room.failed"')
  const sound = newSessionId()
  await expectAdmitted(sound, await signer.ticket(sessionAudience(sound)))
})

test("rooms that are not configured do not start, and name every problem but no value", async () => {
  const unset = startRooms({
    keys: { ...keys, rooms: { ...keys.rooms, seed: "short" } },
    persistDir: join(root, "unset"),
    webUrl: "nowhere",
  })
  const output = await unset.then(
    () => "started",
    (error: Error) => error.message,
  )
  expect(output).toContain("WEB_URL")
  expect(output).toContain("ROOMS_SIGNING_KEY")
  expect(output).not.toContain("nowhere")
})
