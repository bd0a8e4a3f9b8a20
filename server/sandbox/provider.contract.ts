import { randomBytes } from "node:crypto"
import { expect, test } from "vitest"
import { mintId, sessionIdSchema } from "#protocol/ids"
import type { SandboxSpec } from "#protocol/sandbox-spec"
import { type SandboxProvider, sandboxId } from "./provider.ts"

/** A spec that no other test has. */
export function specOf(over: Partial<SandboxSpec> = {}): SandboxSpec {
  return {
    sessionId: sessionIdSchema.parse(mintId("ses", Date.now(), randomBytes(16))),
    generation: 1,
    roomsUrl: "http://127.0.0.1:1",
    runnerToken: "runner-token",
    modelToken: "model-token",
    repoUrl: "file:///nowhere",
    branch: null,
    models: [
      {
        id: "scripted/demo",
        name: "Demo",
        wire: "chat-completions",
        contextTokens: 1,
        outputTokens: 1,
        reasoning: false,
        images: false,
      },
    ],
    deadlines: { cloneMs: 1, agentMs: 1, warmUpMs: 1 },
    ...over,
  }
}

export const idOf = (spec: SandboxSpec) => sandboxId(spec.sessionId, spec.generation)

/** A signal that never fires within a test. */
export const patient = () => ({ signal: AbortSignal.timeout(60_000) })

/** What every provider promises. `count` tells how many machines of a sandbox exist. */
export function providerContract(
  provider: () => SandboxProvider,
  count: (id: string) => Promise<number>,
): void {
  test("a created sandbox runs, a terminated one is gone", async () => {
    const spec = specOf()
    await provider().create(spec, patient())
    expect(await provider().status(idOf(spec))).toBe("running")
    await provider().terminate(idOf(spec))
    expect(await provider().status(idOf(spec))).toBe("gone")
    expect(await count(idOf(spec))).toBe(0)
  })

  test("creating twice, also at once, makes one machine", async () => {
    const spec = specOf()
    await Promise.all([
      provider().create(spec, patient()),
      provider().create(spec, patient()),
      provider().create(spec, patient()),
    ])
    await provider().create(spec, patient())
    expect(await count(idOf(spec))).toBe(1)
    await provider().terminate(idOf(spec))
  })

  test("terminating twice, at once, or what never was, does no harm", async () => {
    const spec = specOf()
    await provider().create(spec, patient())
    await Promise.all([provider().terminate(idOf(spec)), provider().terminate(idOf(spec))])
    await provider().terminate(idOf(spec))
    await provider().terminate(idOf(specOf()))
    await provider().terminate("not a sandbox")
    expect(await count(idOf(spec))).toBe(0)
  })

  test("terminating while it is created leaves nothing once both are done", async () => {
    const spec = specOf()
    const creation = provider().create(spec, patient())
    await Promise.all([creation.catch(() => undefined), provider().terminate(idOf(spec))])
    await provider().terminate(idOf(spec))
    expect(await count(idOf(spec))).toBe(0)
    expect(await listed(idOf(spec))).toBe(false)
  })

  test("an aborted create throws the reason and leaves nothing", async () => {
    const before = specOf()
    const reason = new Error("too late")
    const aborted = provider().create(before, { signal: AbortSignal.abort(reason) })
    await expect(aborted).rejects.toBe(reason)

    const during = specOf()
    const abort = new AbortController()
    const creation = provider().create(during, { signal: abort.signal })
    abort.abort(reason)
    await expect(creation).rejects.toBe(reason)
    for (const spec of [before, during]) {
      expect(await count(idOf(spec))).toBe(0)
      expect(await listed(idOf(spec))).toBe(false)
    }
  })

  test("a sandbox is listed with its age until it is terminated", async () => {
    const spec = specOf()
    expect(await listed(idOf(spec))).toBe(false)
    await provider().create(spec, patient())
    const found = (await provider().list()).find(({ id }) => id === idOf(spec))
    expect(found?.ageMs).toBeGreaterThanOrEqual(0)
    expect(found?.ageMs).toBeLessThan(60_000)
    await provider().terminate(idOf(spec))
    expect(await listed(idOf(spec))).toBe(false)
  })

  test("a newer generation takes the older one's place, and an older one is refused", async () => {
    const older = specOf()
    const newer = { ...older, generation: 2 }
    await provider().create(older, patient())
    await provider().create(newer, patient())
    expect(await provider().status(idOf(older))).toBe("gone")
    expect(await provider().status(idOf(newer))).toBe("running")
    await expect(provider().create(older, patient())).rejects.toMatchObject({
      reason: "sandbox-superseded",
    })
    await provider().terminate(idOf(older))
    expect(await provider().status(idOf(newer))).toBe("running")
    await provider().terminate(idOf(newer))
    await provider().forget(older.sessionId)
    expect(await count(idOf(newer))).toBe(0)
  })

  async function listed(id: string): Promise<boolean> {
    return (await provider().list()).some((listing) => listing.id === id)
  }
}
