import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, test, vi } from "vitest"
import WebSocketClient from "ws"
import { CLOSE } from "#protocol/close-code"
import { promptIdSchema, sessionIdSchema } from "#protocol/ids"
import { SUBPROTOCOL } from "#protocol/version"
import type { Claim } from "#protocol/work"
import { messagesSchema } from "./agent/wire.ts"
import type { OpenSocket } from "./link/socket.ts"
import { Runner } from "./runner.ts"
import { RoomStub } from "./testing/room-stub.ts"
import { ScriptedAgent } from "./testing/scripted-agent.ts"

const openNodeSocket: OpenSocket = (url, headers, events) => {
  const socket = new WebSocketClient(url, [SUBPROTOCOL], { headers })
  socket.on("open", () => events.opened())
  socket.on("message", (data) => events.message(String(data)))
  socket.on("close", (code, reason) => events.closed(code, String(reason)))
  socket.on("error", () => undefined)
  return {
    send: (text) => socket.send(text),
    close: (code, reason) => socket.close(code, reason),
    terminate: () => socket.terminate(),
  }
}

const promptId = promptIdSchema.parse("p1")
const claim: Claim = {
  promptId,
  attempt: 1,
  generation: 1,
  turnId: promptId,
  text: "Do it.",
  author: { id: "usr_1", name: "Ada" },
  attachments: [],
  model: "demo/chat",
  agent: "build",
  deadlines: { acceptMs: 10_000, startMs: 30_000, silenceMs: 30_000, turnMs: 60_000 },
}
const soon = { timeout: 12_000, interval: 5 }

let home: string
let room: RoomStub
let agent: ScriptedAgent
let runner: Runner

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "runner-"))
  room = await RoomStub.start()
  agent = new ScriptedAgent()
  runner = await start()
})

afterEach(async () => {
  await runner.close()
  await room.stop()
  await rm(home, { recursive: true, force: true })
})

function start(): Promise<Runner> {
  const spec = {
    sessionId: sessionIdSchema.parse("ses_0123456789"),
    generation: 1,
    roomsUrl: `http://127.0.0.1:${room.port}`,
    runnerToken: "secret",
    modelToken: "secret",
    repoUrl: "https://example.com/a.git",
    branch: null,
    models: [],
    deadlines: { cloneMs: 1_000, agentMs: 1_000, warmUpMs: 1_000 },
  }
  const checkout = { directory: home, baseCommit: "abc", branch: "main", workingBranch: "work" }
  return Runner.start({
    environment: {
      ...{ spec, home, stateDirectory: home, workspaceDirectory: home },
      ...{ opencode: "/nowhere", base: {} },
    },
    parts: {
      openSocket: openNodeSocket,
      boot: async () => ({ checkout, agent }),
      openWorkspace: () => ({
        directory: home,
        changes: async () => ({ base: "abc", files: [], truncated: false }),
        file: () => Promise.reject(new Error("no file is asked for")),
      }),
    },
    log: () => undefined,
    stop: new AbortController().signal,
    end: () => undefined,
  })
}

/** Keys of the entries and texts of the pieces that arrived, each where it came first; reports by their type. */
const arrived = () => {
  const names = room.arrived.map((item) => {
    if (Array.isArray(item)) return item[2]
    return "entry" in item ? item.entry.key : item.report.type
  })
  return [...new Set(names)]
}

const tool = (id: string, messageID: string, status: string) => ({
  ...{ id, sessionID: "ses_1", messageID, type: "tool", tool: "bash" },
  state: { status, input: {}, output: "" },
})
const text = (id: string, messageID: string, words: string, end?: number) => ({
  ...{ id, sessionID: "ses_1", messageID, type: "text", text: words },
  time: { start: 1, end },
})

test("[E8] after a restart come what the outbox owed, then what the agent holds in the order of its ids, then what it says live", async () => {
  await vi.waitFor(() => expect(arrived()).toContain("boot.ready"), soon)
  room.send({ type: "run", claim })
  await vi.waitFor(() => expect(arrived()).toContain("attempt.running"), soon)
  const [{ messageId = "" } = {}] = agent.prompts
  const [first, second] = [`${messageId}a`, `${messageId}b`]

  // The room is away while the agent works, and the runner ends with all of that in its outbox.
  room.refuseWith = CLOSE.tryAgainLater
  room.drop()
  agent.fallBusy()
  const says = (part: object) => agent.event("message.part.updated", { part })
  for (const id of ["prt_3", "prt_2"]) says(tool(id, first, "completed"))
  await runner.close()
  room.arrived.length = 0

  // The next one finds the agent at work, which speaks on while it is asked what there is.
  const info = (id: string, role: string) => ({
    info: { id, role, sessionID: "ses_1", parentID: messageId, time: {} },
  })
  const held = messagesSchema.parse([
    {
      ...info(second, "assistant"),
      parts: [text("prt_7", second, "Open"), text("prt_6", second, "Six", 2)],
    },
    {
      ...info(first, "assistant"),
      parts: ["prt_4", "prt_2", "prt_3", "prt_1"].map((id) => tool(id, first, "completed")),
    },
    { ...info(messageId, "user"), parts: [] },
  ])
  agent.calls.hasMessage = async () => true
  agent.calls.status = async () => {
    says(tool("prt_8", second, "running"))
    return "busy"
  }
  agent.calls.messagesFrom = async () => {
    says(tool("prt_4", first, "running"))
    says(text("prt_9", second, ""))
    agent.event("message.part.delta", {
      ...{ messageID: second, partID: "prt_9" },
      field: "text",
      delta: "Nine",
    })
    return held
  }
  runner = await start()
  await vi.waitFor(() => expect(agent.listening).toBe(1), soon)
  room.refuseWith = null
  await vi.waitFor(() => expect(arrived()).toContain("prt_9"), soon)
  agent.event("message.part.delta", {
    ...{ messageID: second, partID: "prt_9" },
    field: "text",
    delta: " and on",
  })
  await vi.waitFor(() => expect(arrived()).toContain(" and on"), soon)

  expect(arrived()).toEqual([
    ...["prt_3", "prt_2"],
    ...["prt_1", "prt_4", "prt_6", "prt_7"],
    ...["prt_8", "prt_9", " and on"],
  ])
})
