import { type ChildProcess, spawn } from "node:child_process"
import { generateKeyPairSync, randomBytes } from "node:crypto"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { mintId, type SessionId, sessionIdSchema } from "#protocol/ids"
import { ROOMS_AUDIENCE, sessionAudience } from "#protocol/token"
import { signingKey, verifyKey } from "../../server/auth/keys.ts"
import { signCall, signModelToken, signRunnerToken, signTicket } from "../../server/auth/tokens.ts"
import { endWithTests } from "../setup/end-with-tests.ts"

const launcher = fileURLToPath(new URL("../../dev/rooms.ts", import.meta.url))
const startDeadlineMs = 30_000

/** The keys of a server and its rooms. */
export function testKeys() {
  const pair = () => {
    const { d = "", x = "" } = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" })
    const base64 = (text: string) => Buffer.from(text, "base64url").toString("base64")
    return { seed: base64(d), publicKey: base64(x) }
  }
  return { server: pair(), rooms: pair() }
}
export type TestKeys = ReturnType<typeof testKeys>

export type RunningRooms = {
  url: string
  /** Leader of the process group. */
  pid: number
  /** Everything that the process wrote so far. */
  output: () => string
  /** Ends it and its workerd as a power cut would. */
  kill: () => Promise<void>
}

/** The rooms' Worker in real workerd, in a process group of its own. */
export async function startRooms(options: {
  keys: TestKeys
  persistDir: string
  webUrl: string
  /** A free one when none is given. */
  port?: number
  env?: Record<string, string>
}): Promise<RunningRooms> {
  const child = spawn(
    process.execPath,
    [launcher, "--port", String(options.port ?? 0), "--persist", options.persistDir],
    {
      detached: true,
      env: {
        PATH: process.env.PATH,
        HOME: options.persistDir,
        NODE_ENV: "test",
        WEB_URL: options.webUrl,
        ROOMS_SIGNING_KEY: options.keys.rooms.seed,
        SERVER_VERIFY_KEY: options.keys.server.publicKey,
        AGENT_OPS_LOCAL: "1",
        ...options.env,
      },
      stdio: ["ignore", "pipe", "pipe"],
    },
  )
  endWithTests(child)
  let output = ""
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      output += text
    })
  }
  const kill = () => killGroup(child)
  try {
    return {
      url: await readyUrl(child, () => output),
      pid: child.pid ?? 0,
      output: () => output,
      kill,
    }
  } catch (error) {
    await kill()
    throw error
  }
}

async function readyUrl(child: ChildProcess, output: () => string): Promise<string> {
  if (!child.stdout) throw new Error("The rooms were started without their output.")
  const lines = createInterface({
    input: child.stdout,
    signal: AbortSignal.timeout(startDeadlineMs),
  })
  for await (const line of lines) {
    if (!line.startsWith('{"url":')) continue
    const { url } = JSON.parse(line)
    return String(url)
  }
  throw new Error(`The rooms were not ready after ${startDeadlineMs} ms:\n${output()}`)
}

async function killGroup(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, "exit")
  process.kill(-child.pid, "SIGKILL")
  await exited
}

export function newSessionId(): SessionId {
  return sessionIdSchema.parse(mintId("ses", Date.now(), randomBytes(16)))
}

/** What the server signs, made the way the server makes it. */
export function serverSigner(keys: TestKeys) {
  const key = signingKey(keys.server.seed)
  return {
    key,
    ticket: (audience: string, over: Partial<Parameters<typeof signTicket>[1]> = {}) =>
      signTicket(
        key,
        {
          audience,
          grantId: mintId("grt", Date.now(), randomBytes(16)),
          userId: "usr_00000001",
          name: "Ada",
          role: "operate",
          expiresAt: new Date(Date.now() + 60_000),
          ...over,
        },
        new Date(),
      ),
    runnerToken: (sessionId: string, generation = 1) =>
      signRunnerToken(key, { sessionId, generation }, new Date()),
    modelToken: (sessionId: string, models: readonly string[], generation = 1) =>
      signModelToken(key, { sessionId, generation, models }, new Date()),
    call: (path: string, body: string, audience = ROOMS_AUDIENCE) =>
      signCall(key, { audience, path, body }, new Date()),
  }
}
export type ServerSigner = ReturnType<typeof serverSigner>

export const roomsVerifyKey = (keys: TestKeys) => verifyKey(keys.rooms.publicKey)
export const sessionPath = (sessionId: string) => `/parties/session/${sessionId}`
export { sessionAudience }

/** A signed call of the server to a session's room, as the server's own client makes it. */
export async function callRoom(
  rooms: { url: string },
  signer: ServerSigner,
  sessionId: string,
  call: object,
): Promise<{ status: number; answer: unknown }> {
  const body = JSON.stringify(call)
  const path = sessionPath(sessionId)
  const response = await fetch(rooms.url + path, {
    method: "POST",
    headers: { authorization: `Bearer ${await signer.call(path, body)}` },
    body,
  })
  const text = await response.text()
  return { status: response.status, answer: text.startsWith("{") ? JSON.parse(text) : text }
}

export function fence(generation: number, known = "0") {
  const reason = { reason: "sandbox-lost", message: "The sandbox is gone." }
  return { call: "fence", generation, teamId: "team_00000001", known, reason }
}
