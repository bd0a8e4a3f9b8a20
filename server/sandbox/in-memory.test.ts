import { expect, test, vi } from "vitest"
import { inMemoryProvider } from "./in-memory.ts"
import { idOf, patient, providerContract, specOf } from "./provider.contract.ts"

const provider = inMemoryProvider(() => Date.now())

providerContract(
  () => provider,
  async (id) => (provider.running.has(id) ? 1 : 0),
)

test("a create can be scripted to fail, to hang until it is aborted, or to die at once", async () => {
  const scripted = inMemoryProvider(() => 0)
  scripted.script.push("fail", "hang", "die")
  const spec = specOf()
  await expect(scripted.create(spec, patient())).rejects.toThrow("could not be made")

  const abort = new AbortController()
  const hanging = scripted.create(spec, { signal: abort.signal })
  await vi.waitUntil(async () => (await scripted.list()).length > 0)
  expect(await scripted.list()).toEqual([{ id: idOf(spec), ageMs: 0 }])
  abort.abort(new Error("too late"))
  await expect(hanging).rejects.toThrow("too late")

  await scripted.create(spec, patient())
  expect(await scripted.status(idOf(spec))).toBe("gone")
})
