import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { giveUp, portOption, readOptions } from "./command-line.ts"
import { startModel } from "./model/server.ts"
import { assertFree, freePorts } from "./stack/free-ports.ts"
import { aborted, stopSignal } from "./stop-signal.ts"

const TERM_DEADLINE_MS = 5_000

/** The agent alone, as the sandbox starts it, with the scripted model behind it. Ends with Ctrl-C and keeps nothing. */
const binary = fileURLToPath(
  new URL("../node_modules/opencode-linux-x64/bin/opencode", import.meta.url),
)
const values = readOptions(
  {
    port: { type: "string", default: "4096" },
    directory: { type: "string", default: process.cwd() },
  },
  "npm run dev:opencode -- [--port N] [--directory DIR]",
)
const port = portOption(values.port) || (await freePorts(1))
await assertFree(port, "", "Choose another --port.").catch(giveUp)

const home = mkdtempSync(join(tmpdir(), "agent-ops-opencode-"))
const model = await startModel()
const password = randomBytes(18).toString("base64url")
const agent = serve()

console.log(`OpenCode starts at http://127.0.0.1:${port} in ${values.directory}`)
console.log(`user opencode, password ${password}`)

void aborted(stopSignal()).then(() => end(agent))
agent.once("error", (error) => console.error(`OpenCode could not be started: ${error.message}`))
agent.once("close", async (code) => {
  await model.close()
  rmSync(home, { recursive: true, force: true })
  process.exit(code ?? 0)
})

function serve(): ChildProcess {
  const config = {
    autoupdate: false,
    share: "disabled",
    model: "scripted/demo-model",
    enabled_providers: ["scripted"],
    provider: {
      scripted: {
        npm: "@ai-sdk/openai-compatible",
        options: { baseURL: `${model.url}/v1`, apiKey: "none" },
        models: { "demo-model": { name: "demo model", tool_call: true } },
      },
    },
    permission: { "*": "allow" },
  }
  const env: NodeJS.ProcessEnv = {
    PATH: process.env.PATH,
    HOME: home,
    OPENCODE_SERVER_PASSWORD: password,
    OPENCODE_CONFIG_CONTENT: JSON.stringify(config),
    OPENCODE_DISABLE_MODELS_FETCH: "1",
    OPENCODE_DISABLE_AUTOUPDATE: "1",
    OPENCODE_DISABLE_PROJECT_CONFIG: "1",
  }
  mkdirSync(values.directory, { recursive: true })
  return spawn(binary, ["serve", "--hostname", "127.0.0.1", "--port", String(port)], {
    cwd: values.directory,
    detached: true,
    env,
    stdio: ["ignore", "inherit", "inherit"],
  })
}

/** OpenCode now and then swallows the first SIGTERM, and its shell commands live in its group. */
function end({ pid }: ChildProcess) {
  if (!pid) return
  process.kill(-pid, "SIGTERM")
  setTimeout(() => process.kill(-pid, "SIGKILL"), TERM_DEADLINE_MS)
}
