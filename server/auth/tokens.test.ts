import { generateKeyPairSync, type KeyObject } from "node:crypto"
import { decodeJwt, decodeProtectedHeader, jwtVerify } from "jose"
import { expect, test } from "vitest"
import { ticketClaimsSchema } from "#protocol/token"
import { signingKey, verifyKey } from "./keys.ts"
import { isCallSigned, signCall, signModelToken, signRunnerToken, signTicket } from "./tokens.ts"

const now = new Date("2026-11-22T10:00:00.000Z")
const later = (seconds: number) => new Date(now.getTime() + seconds * 1_000)

function keyPair(): { privateKey: KeyObject; publicKey: KeyObject } {
  const { d = "", x = "" } = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" })
  const base64 = (text: string) => Buffer.from(text, "base64url").toString("base64")
  return { privateKey: signingKey(base64(d)), publicKey: verifyKey(base64(x)) }
}

const { privateKey, publicKey } = keyPair()
const call = { audience: "server", path: "/api/internal/rooms", body: '{"post":"ingest"}' }

test("a signed call is good for its path, body and audience", async () => {
  const token = await signCall(privateKey, call, now)
  const check = (changed: Partial<typeof call>, at = now) =>
    isCallSigned(publicKey, token, { ...call, ...changed }, at)
  expect(await check({})).toBe(true)
  expect(await check({ body: '{"post":"claim"}' })).toBe(false)
  expect(await check({ path: "/api/internal/tick" })).toBe(false)
  expect(await check({ audience: "rooms" })).toBe(false)
  expect(await check({}, later(89))).toBe(true)
  expect(await check({}, later(120))).toBe(false)
  expect(await check({}, later(-120))).toBe(false)
})

test("a call signed by another key, or a token of another kind, is refused", async () => {
  const stranger = await signCall(keyPair().privateKey, call, now)
  expect(await isCallSigned(publicKey, stranger, call, now)).toBe(false)
  const runner = await signRunnerToken(privateKey, { sessionId: "ses_1", generation: 1 }, now)
  expect(await isCallSigned(publicKey, runner, call, now)).toBe(false)
  expect(await isCallSigned(publicKey, "not a token", call, now)).toBe(false)
})

test("a ticket says who may do what where, for one minute", async () => {
  const ticket = await signTicket(
    privateKey,
    {
      audience: "session:ses_1",
      grantId: "grt_1",
      userId: "usr_1",
      name: "Ada",
      role: "observe",
      expiresAt: later(60),
    },
    now,
  )
  const { payload } = await jwtVerify(ticket, publicKey, {
    audience: "session:ses_1",
    typ: "ticket+jwt",
    currentDate: now,
  })
  expect(ticketClaimsSchema.parse(payload)).toEqual({
    sub: "usr_1",
    jti: "grt_1",
    exp: later(60).getTime() / 1_000,
    name: "Ada",
    role: "observe",
  })
})

test("runner and model tokens differ in kind and audience and carry the generation", async () => {
  const place = { sessionId: "ses_1", generation: 3 }
  const models = ["openai/gpt-9"]
  const runner = await signRunnerToken(privateKey, place, now)
  const model = await signModelToken(privateKey, { ...place, models }, now)
  expect(decodeProtectedHeader(runner).typ).toBe("runner+jwt")
  expect(decodeProtectedHeader(model).typ).toBe("model+jwt")
  expect(decodeJwt(runner)).toMatchObject({ aud: "session:ses_1", sub: "ses_1", gen: 3 })
  expect(decodeJwt(model)).toMatchObject({ aud: "broker", sub: "ses_1", gen: 3, models })
})
