import { once } from "node:events"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { type WebSocket, WebSocketServer } from "ws"

/** A plain relay: one durable insert and one frame per viewer for each event. `node ws-sqlite.server.ts - <dir>`. */
const [, persistDir = ""] = process.argv.slice(2)
const database = new DatabaseSync(join(persistDir, "events.sqlite"))
database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
database.exec("CREATE TABLE IF NOT EXISTS event (seq INTEGER PRIMARY KEY, body TEXT)")
const insert = database.prepare("INSERT INTO event (body) VALUES (?)")
const rooms = new Map<string, Set<WebSocket>>()

const server = new WebSocketServer({ host: "127.0.0.1", port: 0 })
server.on("connection", (socket, request) => {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://127.0.0.1")
  const viewers = rooms.get(pathname) ?? new Set()
  rooms.set(pathname, viewers)
  if (searchParams.get("role") === "viewer") viewers.add(socket)
  socket.on("close", () => viewers.delete(socket))
  socket.on("message", (data) => {
    const events: string[] = JSON.parse(String(data))
    for (const event of events) {
      insert.run(event)
      const frame = JSON.stringify([event])
      for (const viewer of viewers) viewer.send(frame)
    }
  })
})
await once(server, "listening")
const address = server.address()
if (address === null || typeof address === "string") throw new Error("The relay has no port.")
console.log(JSON.stringify({ url: `http://127.0.0.1:${address.port}` }))
