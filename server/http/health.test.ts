import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, expect, test } from "vitest"
import { connectDatabase } from "../db.ts"
import { freshSystem } from "../testing/system.ts"
import { serveHealth } from "./health.ts"

const system = await freshSystem()
const home = await mkdtemp(join(tmpdir(), "health-"))
const rooms = createServer((_request, response) => response.end("{}"))
const roomsUrl = await new Promise<string>((resolve) => {
  rooms.listen(0, "127.0.0.1", () => {
    const address = rooms.address()
    resolve(`http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`)
  })
})
const nowhere = connectDatabase("postgresql://u:hunter2@127.0.0.1:9/db")

afterAll(async () => {
  rooms.close()
  await nowhere.$disconnect()
  await rm(home, { recursive: true })
})

const health = async (fields: Partial<Parameters<typeof serveHealth>[0]> = {}) => {
  const response = await serveHealth({
    db: system.db,
    roomsUrl,
    settings: system.settings,
    pidsFile: null,
    ...fields,
  })
  return { status: response.status, body: await response.json() }
}

test("everything up: 200, each part with its own state", async () => {
  expect(await health()).toEqual({
    status: 200,
    body: {
      ok: true,
      database: { state: "up", ms: expect.any(Number) },
      rooms: { state: "up", ms: expect.any(Number) },
      provider: { state: "configured", name: system.settings.sandboxProvider },
      blob: { state: "none", message: expect.any(String) },
      kv: { state: "none", message: expect.any(String) },
      model: { state: "configured", providers: ["scripted"] },
    },
  })
})

test("a part that is down makes it 503 and says which, without its address", async () => {
  const { status, body } = await health({ db: nowhere, roomsUrl: "http://127.0.0.1:9" })
  expect(status).toBe(503)
  expect(body).toMatchObject({
    ok: false,
    database: { state: "down", message: "The database cannot be reached." },
    rooms: { state: "down", message: "The rooms cannot be reached." },
  })
  expect(JSON.stringify(body)).not.toContain("hunter2")
})

test("a local stack's process ids are shown, a missing or broken file is not", async () => {
  const pidsFile = join(home, "pids.json")
  expect((await health({ pidsFile })).body.pids).toBeUndefined()
  await writeFile(pidsFile, '{"web":1,"ro')
  expect((await health({ pidsFile })).body.pids).toBeUndefined()
  await writeFile(pidsFile, '{"web":1,"rooms":2,"model":null}')
  expect((await health({ pidsFile })).body.pids).toEqual({ web: 1, rooms: 2, model: null })
})
