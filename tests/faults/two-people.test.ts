import { expect, test } from "vitest"
import { promptKey } from "#protocol/entry"
import { apiClient } from "../../server/client.ts"
import { hashKey, mintKeyText } from "../../server/domain/api-keys/key-text.ts"
import { newPromptId } from "./fault-session.ts"
import { assertInvariants } from "./invariants.ts"
import { command, scripted } from "./script.ts"
import { seeds } from "./seeds.ts"
import { stackWithSession } from "./shared-stack.ts"

const ROUNDS = Math.min(50, 3 * seeds.length)
/** In every so many rounds both send the same prompt under the same id. */
const SAME_ID_EVERY = 5
const DONE_WITHIN_MS = 280_000

const shared = stackWithSession()

test(`[F11] two people who send at the same millisecond ${ROUNDS} times see one order, each prompt carried out once`, async () => {
  const { stack, session } = shared
  const people = [stack.api, await secondPerson()]
  const busy = await session.send([command(3)])
  const rounds = Array.from({ length: ROUNDS }, (_, round) =>
    round % SAME_ID_EVERY === 0 ? Array(2).fill(newPromptId()) : [newPromptId(), newPromptId()],
  )
  for (const ids of rounds) {
    const sent = people.map((api, person) =>
      api.prompt.send.mutate({
        promptId: ids[person] ?? "",
        sessionId: session.id,
        text: scripted(ids[person] ?? "", []),
        mode: "queue",
      }),
    )
    expect((await Promise.all(sent)).map(({ id }) => id)).toEqual(ids)
  }

  const ids = new Set(rounds.flat())
  const queue = (await session.prompts()).filter(({ id }) => ids.has(id))
  expect(queue).toHaveLength(ids.size)
  const order = [busy, ...queue.toSorted((a, b) => a.position - b.position).map(({ id }) => id)]
  const last = order.at(-1) ?? busy
  expect(await session.hasEnded(last, DONE_WITHIN_MS)).toBe("succeeded")
  await assertInvariants(session)
  const keys = new Set(order.map(promptKey))
  for (const { log } of session.viewers) {
    expect(log.order.filter((key) => keys.has(key))).toEqual(order.map(promptKey))
  }
  for (const id of order) expect(session.executions(id), id).toBe(1)
})

/** Somebody else of the team, with a key of their own. */
async function secondPerson() {
  const { stack } = shared
  const { secret, prefix } = mintKeyText()
  await stack.write(`INSERT INTO "User" (id, name) VALUES ('usr_00000000second', 'Second')`)
  await stack.write(
    `INSERT INTO "Member" ("teamId", "userId", role) VALUES ($1, 'usr_00000000second', 'member')`,
    [stack.line.teamId],
  )
  await stack.write(
    `INSERT INTO "ApiKey" (id, "teamId", "userId", name, prefix, hash, scopes)
     VALUES ('key_00000000second', $1, 'usr_00000000second', 'Second', $2, $3, '{read,write}')`,
    [stack.line.teamId, prefix, hashKey(secret)],
  )
  return apiClient({ url: stack.line.url, apiKey: secret })
}
