import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from "jose"
import { describe, expect, test } from "vitest"
import { BROKER_AUDIENCE, sessionAudience, TOKEN_ISSUER, TOKEN_TYPE } from "#protocol/token"
import { callRoom, fence, newSessionId, serverSigner } from "./start-rooms.ts"
import { json, keys, OFFERED, sessionId, signer, startedBroker } from "./started-broker.ts"

const broker = startedBroker()
const { ask, answerOf, refusalOf } = broker

describe("a token", () => {
  const claims = (over: object = {}) => ({ gen: 1, models: OFFERED, ...over })
  const signed = (typ: string, audience: string, over: object = {}) =>
    new SignJWT(claims(over))
      .setProtectedHeader({ alg: "EdDSA", typ })
      .setIssuer(TOKEN_ISSUER)
      .setAudience(audience)
      .setSubject(sessionId)
  const forgeries: Record<string, () => Promise<string | null>> = {
    "that is missing": async () => null,
    "that is garbage": async () => "garbage",
    "without a signature (alg none)": async () =>
      new UnsecuredJWT(claims())
        .setIssuer(TOKEN_ISSUER)
        .setAudience(BROKER_AUDIENCE)
        .setSubject(sessionId)
        .encode(),
    "signed with the public key as a shared secret (HS256)": async () =>
      new SignJWT(claims())
        .setProtectedHeader({ alg: "HS256", typ: TOKEN_TYPE.model })
        .setIssuer(TOKEN_ISSUER)
        .setAudience(BROKER_AUDIENCE)
        .setSubject(sessionId)
        .sign(Buffer.from(keys.server.publicKey, "base64")),
    "signed with another key": async () => {
      const { privateKey } = await generateKeyPair("EdDSA")
      return signed(TOKEN_TYPE.model, BROKER_AUDIENCE).sign(privateKey)
    },
    "that brings its own key": async () => {
      const { privateKey, publicKey } = await generateKeyPair("EdDSA")
      const jwk = await exportJWK(publicKey)
      return new SignJWT(claims())
        .setProtectedHeader({ alg: "EdDSA", typ: TOKEN_TYPE.model, jwk })
        .setIssuer(TOKEN_ISSUER)
        .setAudience(BROKER_AUDIENCE)
        .setSubject(sessionId)
        .sign(privateKey)
    },
    "signed by the rooms": async () => {
      const { key } = serverSigner({ ...keys, server: keys.rooms })
      return signed(TOKEN_TYPE.model, BROKER_AUDIENCE).sign(key)
    },
    "that has expired": async () =>
      signed(TOKEN_TYPE.model, BROKER_AUDIENCE)
        .setExpirationTime(Math.floor(Date.now() / 1000) - 120)
        .sign(signer.key),
    "of a runner": async () => signer.runnerToken(sessionId),
    "of a runner, for the broker": async () =>
      signed(TOKEN_TYPE.runner, BROKER_AUDIENCE).sign(signer.key),
    "that is a ticket": async () => signer.ticket(sessionAudience(sessionId)),
    "that is a ticket, for the broker": async () => signer.ticket(BROKER_AUDIENCE),
    "for another audience": async () =>
      signed(TOKEN_TYPE.model, sessionAudience(sessionId)).sign(signer.key),
    "without a generation": async () =>
      signed(TOKEN_TYPE.model, BROKER_AUDIENCE, { gen: undefined }).sign(signer.key),
    "without its models": async () =>
      signed(TOKEN_TYPE.model, BROKER_AUDIENCE, { models: undefined }).sign(signer.key),
    "for something that is no session": async () => signer.modelToken("team_00000001", OFFERED),
  }
  test.each(Object.entries(forgeries))("%s is refused", async (_name, forge) => {
    const refusal = await refusalOf(await ask({ key: await forge() }))
    expect(refusal.status).toBe(401)
    expect(refusal.reason).toMatch(/^token-(missing|refused)$/)
  })

  test("with one altered character is refused, also after the right one was used", async () => {
    const at = broker.token.length - 10
    const altered = `${broker.token.slice(0, at)}${broker.token[at] === "A" ? "B" : "A"}${broker.token.slice(at + 1)}`
    expect(await refusalOf(await ask({ key: altered }))).toMatchObject({ status: 401 })
  })

  test("of another session does not spend this one's generation", async () => {
    const other = await signer.modelToken(newSessionId(), OFFERED)
    expect(await refusalOf(await ask({ key: other }))).toMatchObject({
      status: 401,
      reason: "stale-generation",
    })
  })

  test("stops working with the next call after its generation was fenced", async () => {
    const fenced = newSessionId()
    await callRoom(broker.rooms, signer, fenced, fence(1))
    const key = await signer.modelToken(fenced, OFFERED)
    broker.upstream.answer = json(200, {})
    expect((await answerOf(await ask({ key }))).status).toBe(200)
    await callRoom(broker.rooms, signer, fenced, fence(2))
    expect(await refusalOf(await ask({ key }))).toMatchObject({
      status: 401,
      reason: "stale-generation",
    })
  })

  test("stops working with the next call after its session ended", async () => {
    const ended = newSessionId()
    await callRoom(broker.rooms, signer, ended, fence(1))
    const key = await signer.modelToken(ended, OFFERED)
    broker.upstream.answer = json(200, {})
    expect((await answerOf(await ask({ key }))).status).toBe(200)
    const reason = { reason: "ended", message: "Somebody ended the session." }
    await callRoom(broker.rooms, signer, ended, { call: "end", reason })
    expect(await refusalOf(await ask({ key }))).toMatchObject({ status: 401, reason: "ended" })
  })
})

describe("an address", () => {
  test("of a provider that nobody knows is told apart from one without a key", async () => {
    expect(await refusalOf(await ask({ path: "acme/v1/responses" }))).toEqual({
      status: 404,
      reason: "provider-unknown",
      message: "There is no provider named acme. Pick another model.",
    })
    expect(await refusalOf(await ask({ path: "openrouter/v1/chat/completions" }))).toEqual({
      status: 400,
      reason: "provider-not-configured",
      message:
        "The platform has no key for openrouter. An operator adds one, or pick another model.",
    })
  })

  test.each([
    "openai/v1/files",
    "openai/v1/responses/../files",
    "openai/v2/responses",
    "openai",
    "",
  ])("that is no model call is refused: %s", async (path) => {
    expect(await refusalOf(await ask({ path }))).toMatchObject({ status: 404 })
  })
})

test("the platform's key is in no answer, no header and no line of the log", () => {
  broker.expectKeyHidden()
})
