import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { WebSocket } from "ws"
import { type Arrival, eachEvent, type OpenRelay, type Relay } from "./relay.ts"

const START_DEADLINE_MS = 30_000

/** A relay that takes and sends JSON arrays of events, in a process group of its own. */
export async function startPlainRelay(
  { name, script, argument }: { name: string; script: string; argument: string },
  arrived: Arrival,
): Promise<Relay> {
  const directory = mkdtempSync(join(tmpdir(), "agent-ops-bench-"))
  const child = spawn(process.execPath, [join(import.meta.dirname, script), argument, directory], {
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  })
  const url = await readyUrl(child)
  let rooms = 0
  return {
    name,
    batches: false,
    open: async (viewers) => openRoom(`${url.replace("http", "ws")}/${rooms++}`, viewers, arrived),
    close: async () => {
      if (child.pid) process.kill(-child.pid, "SIGKILL")
      await once(child, "exit")
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

async function openRoom(url: string, viewers: number, arrived: Arrival): Promise<OpenRelay> {
  let received = 0
  const sockets = await Promise.all(
    Array.from({ length: viewers }, (_, viewer) =>
      openSocket(`${url}?role=viewer`, (text) => {
        received += text.length
        eachEvent(text, (event) => arrived(viewer, event))
      }),
    ),
  )
  const producer = await openSocket(`${url}?role=producer`, () => {})
  return {
    send: (events) => producer.send(JSON.stringify(events)),
    received: () => received,
    close: () => {
      for (const socket of [...sockets, producer]) socket.terminate()
    },
  }
}

async function openSocket(url: string, onText: (text: string) => void): Promise<WebSocket> {
  const socket = new WebSocket(url, { perMessageDeflate: false })
  socket.on("message", (data) => onText(String(data)))
  await once(socket, "open")
  return socket
}

export async function readyUrl(child: ChildProcess): Promise<string> {
  if (!child.stdout) throw new Error("The relay was started without its output.")
  const lines = createInterface({
    input: child.stdout,
    signal: AbortSignal.timeout(START_DEADLINE_MS),
  })
  for await (const line of lines) if (line.startsWith("{")) return String(JSON.parse(line).url)
  throw new Error("The relay did not start.")
}
