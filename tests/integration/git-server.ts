import { spawn } from "node:child_process"
import { once } from "node:events"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"

const PAGE = "<!doctype html>\n<html>\n<title>It works!</title>\n</html>\n"

/** Repositories below a directory over Git's smart HTTP on 127.0.0.1, as a Git host serves them. */
export class GitServer {
  /** Paths that ask for a sign-in. */
  readonly private = new Set<string>()
  readonly #server: Server
  readonly #root: string
  readonly #port: number

  private constructor(server: Server, root: string, port: number) {
    this.#server = server
    this.#root = root
    this.#port = port
    server.on("request", (request, response) => this.#answer(request, response))
  }

  static async start(root: string): Promise<GitServer> {
    const server = createServer()
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    const address = server.address()
    if (address === null || typeof address === "string") throw new Error("no port")
    return new GitServer(server, root, address.port)
  }

  url(name: string): string {
    return `http://127.0.0.1:${this.#port}/${name}`
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { pathname, search } = new URL(request.url ?? "/", "http://localhost")
    const repository = pathname.split("/")[1] ?? ""
    if (this.private.has(repository)) {
      response.writeHead(401, { "www-authenticate": 'Basic realm="private"' }).end()
      return
    }
    if (repository === "broken") {
      response.writeHead(200, { "content-type": "text/html" }).end(PAGE)
      return
    }
    // A host that accepts connections and never answers.
    if (repository === "silent") return
    const { headers, method } = request
    const child = spawn("git", ["http-backend"], {
      env: {
        PATH: process.env.PATH,
        GIT_PROJECT_ROOT: this.#root,
        GIT_HTTP_EXPORT_ALL: "1",
        GIT_PROTOCOL: String(headers["git-protocol"] ?? ""),
        HTTP_CONTENT_ENCODING: headers["content-encoding"] ?? "",
        PATH_INFO: decodeURIComponent(pathname),
        QUERY_STRING: search.slice(1),
        REQUEST_METHOD: method,
        CONTENT_TYPE: headers["content-type"] ?? "",
        REMOTE_ADDR: "127.0.0.1",
      },
      stdio: ["pipe", "pipe", "ignore"],
    })
    response.once("close", () => child.kill())
    request.pipe(child.stdin.on("error", () => undefined))
    answerAsCgi(child.stdout, response)
  }
}

/** Turns a CGI program's output, headers first, into an HTTP answer. */
function answerAsCgi(output: NodeJS.ReadableStream, response: ServerResponse): void {
  let head: Buffer = Buffer.alloc(0)
  const read = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk])
    const end = head.indexOf("\r\n\r\n")
    if (end < 0) return
    output.off("data", read)
    let status = 200
    for (const line of head.subarray(0, end).toString().split("\r\n")) {
      const [name = "", value = ""] = line.split(/: (.*)/s)
      if (name.toLowerCase() === "status") status = Number.parseInt(value, 10)
      else response.setHeader(name, value)
    }
    response.writeHead(status)
    response.write(head.subarray(end + 4))
    output.pipe(response)
  }
  output.on("data", read)
  output.once("end", () => response.end())
}
