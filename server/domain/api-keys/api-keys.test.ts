import { expect, test } from "vitest"
import { createApiKey } from "../../testing/api-key.ts"
import { createOwner } from "../../testing/factories.ts"
import { freshSystem } from "../../testing/system.ts"
import { authenticateApiKey } from "./index.ts"

const system = await freshSystem()

async function newKey(fields: { expiresAt?: Date } = {}) {
  const owner = await createOwner(system)
  const key = await createApiKey(system, {
    ...owner,
    name: "ci",
    scopes: ["read", "write"],
    ...fields,
  })
  return { owner, key }
}

test("a key stands for its person, team and scopes; only its hash is kept", async () => {
  const { owner, key } = await newKey()
  expect(key.secret).toMatch(/^ao_[0-9a-f]{8}_[A-Za-z0-9_-]{43}$/)
  expect(key.secret.startsWith(key.prefix)).toBe(true)
  const actor = await authenticateApiKey(system, key.secret)
  expect(actor).toEqual({ ...owner, scopes: ["read", "write"] })
  const row = await system.db.apiKey.findUniqueOrThrow({ where: { id: key.id } })
  expect(JSON.stringify(row)).not.toContain(key.secret.slice(key.prefix.length + 1))
})

test("a key that is unknown, revoked, expired or without a member is refused with its reason", async () => {
  const refused = async (secret: string, reason: string) =>
    expect(authenticateApiKey(system, secret)).rejects.toMatchObject({
      code: "UNAUTHORIZED",
      reason,
    })
  const { key, owner } = await newKey()
  await refused("", "api-key-unknown")
  await refused(`${key.secret.slice(0, -2)}xx`, "api-key-unknown")
  const { key: expired } = await newKey({ expiresAt: system.now() })
  await refused(expired.secret, "api-key-expired")
  await system.db.member.deleteMany({ where: { userId: owner.userId } })
  await refused(key.secret, "api-key-without-member")
  await system.db.apiKey.update({ where: { id: key.id }, data: { revokedAt: system.now() } })
  await refused(key.secret, "api-key-revoked")
})

test("the last use is noted once a minute", async () => {
  const { key } = await newKey()
  const usedAt = async () =>
    (await system.db.apiKey.findUniqueOrThrow({ where: { id: key.id } })).lastUsedAt
  await authenticateApiKey(system, key.secret)
  const first = await usedAt()
  expect(first).toEqual(system.now())
  system.clock.advance(59_000)
  await authenticateApiKey(system, key.secret)
  expect(await usedAt()).toEqual(first)
  system.clock.advance(1_000)
  await authenticateApiKey(system, key.secret)
  expect(await usedAt()).toEqual(system.now())
})
