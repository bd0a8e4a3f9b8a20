import { once } from "node:events"
import { createServer, connect as dial, type Socket as TcpSocket } from "node:net"

/** A TCP proxy that can stop passing bytes on without closing anything. */
export async function blackHole(target: number) {
  const sockets: TcpSocket[] = []
  let swallows = false
  const server = createServer((near) => {
    const far = dial(target, "127.0.0.1")
    sockets.push(near, far)
    near.on("data", (data) => swallows || far.write(data))
    far.on("data", (data) => swallows || near.write(data))
    for (const socket of [near, far]) socket.on("error", () => undefined)
    near.on("close", () => swallows || far.destroy())
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("The proxy has no port.")
  const swallow = (value: boolean) => {
    swallows = value
  }
  const close = () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  return { port: address.port, swallow, close }
}
