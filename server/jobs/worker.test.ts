import { spawn } from "node:child_process"
import { once } from "node:events"
import { createServer, type Server } from "node:net"
import { text } from "node:stream/consumers"
import { fileURLToPath } from "node:url"
import { afterEach, expect, test } from "vitest"
import { freePorts } from "../../dev/stack/free-ports.ts"

const SCRIPT = fileURLToPath(new URL("./worker.ts", import.meta.url))
const KEY = Buffer.alloc(32, 7).toString("base64")
const WITHIN_MS = 12_000

let server: Server | undefined

afterEach(() => {
  server?.close()
})

/** A PostgreSQL that refuses every connection with this error. Resolves to its port. */
async function refuseAll(sqlState: string, message: string): Promise<number> {
  const fields = ["SFATAL", "VFATAL", `C${sqlState}`, `M${message}`, ""]
  const body = Buffer.from(fields.map((field) => `${field}\0`).join(""))
  const length = Buffer.alloc(4)
  length.writeUInt32BE(body.length + 4)
  const answer = Buffer.concat([Buffer.from("E"), length, body])
  const listening = createServer((socket) => {
    socket.on("error", () => undefined)
    socket.once("data", () => socket.end(answer))
  })
  server = listening.listen(0, "127.0.0.1")
  await once(listening, "listening")
  const address = listening.address()
  if (address === null || typeof address === "string") throw new Error("no port")
  return address.port
}

/** The worker's log and exit code, with the database at this port. */
async function runWorker(port: number) {
  const child = spawn(process.execPath, [SCRIPT], {
    timeout: WITHIN_MS,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env.PATH,
      NODE_ENV: "test",
      AGENT_OPS_LOCAL: "1",
      AGENT_OPS_HOME: "/nowhere",
      DATABASE_URL: `postgresql://me:hunter2@127.0.0.1:${port}/product`,
      APP_URL: "http://localhost:1",
      ROOMS_URL: "http://127.0.0.1:1",
      SERVER_SIGNING_KEY: KEY,
      ROOMS_VERIFY_KEY: KEY,
      MODEL_PROVIDERS: "scripted",
      LOG_LEVEL: "warn",
    },
  })
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, "exit")])
  return { said, code }
}

test.each<[string, () => Promise<number>, RegExp]>([
  [
    "is starting up",
    () => refuseAll("57P03", "the database system is starting up"),
    /PostgreSQL cannot be used now: the database system is starting up\. The worker ends/,
  ],
  ["is not there", () => freePorts(1), /PostgreSQL cannot be used now: .*ECONNREFUSED.* ends/],
])(
  "a worker whose PostgreSQL %s says so in one line and ends with 1",
  async (_, port, sentence) => {
    const { said, code } = await runWorker(await port())
    expect(code).toBe(1)
    expect(said).toMatch(sentence)
    expect(said.trim().split("\n")).toHaveLength(1)
    expect(said).not.toContain("hunter2")
    expect(said).not.toMatch(/\bat .*:\d+:\d+/)
  },
)
