import { expect, test } from "vitest"
import type { SandboxModel } from "#protocol/sandbox-spec"
import { agentConfig, splitModelId } from "./config.ts"
import { agentEnvironment } from "./environment.ts"

const model = (id: string, wire: SandboxModel["wire"]): SandboxModel => ({
  id,
  name: id.toUpperCase(),
  wire,
  contextTokens: 200_000,
  outputTokens: 8_000,
  reasoning: true,
  images: false,
})

const config = agentConfig({
  spec: {
    roomsUrl: "http://127.0.0.1:4100",
    modelToken: "model-token",
    models: [
      model("anthropic/claude", "messages"),
      model("openrouter/meta/llama", "chat-completions"),
      model("openrouter/openai/gpt", "responses"),
    ],
  },
  warmUpUrl: "http://127.0.0.1:4200/v1",
  instructions: ["/workspace/AGENTS.md"],
})

test("every provider is reached through the broker with the session's token", () => {
  expect(config.provider.anthropic).toMatchObject({
    npm: "@ai-sdk/anthropic",
    options: { baseURL: "http://127.0.0.1:4100/broker/anthropic/v1", apiKey: "model-token" },
    whitelist: ["claude"],
    models: { claude: { limit: { context: 200_000, output: 8_000 }, tool_call: true } },
  })
  expect(config.provider.openrouter).toMatchObject({
    whitelist: ["meta/llama", "openai/gpt"],
    models: {
      "meta/llama": { provider: { npm: "@ai-sdk/openai-compatible" } },
      "openai/gpt": { provider: { npm: "@ai-sdk/openai" } },
    },
  })
  expect(config.enabled_providers).toEqual(["anthropic", "openrouter", "warm-up"])
})

test("nothing waits for a person, leaves the machine or updates itself", () => {
  expect(config).toMatchObject({
    permission: { "*": "allow", question: "deny" },
    share: "disabled",
    autoupdate: false,
    snapshot: false,
  })
})

test("a model's name may hold slashes", () => {
  expect(splitModelId("openrouter/meta/llama")).toEqual({
    providerID: "openrouter",
    modelID: "meta/llama",
  })
})

test("the agent's home is its own, whatever the runner was given", () => {
  const environment = agentEnvironment({
    base: { PATH: "/bin", HOME: "/root", XDG_DATA_HOME: "/elsewhere" },
    home: "/home/agent",
    password: "secret",
    mark: "mark",
    config,
  })
  expect(environment).toMatchObject({
    PATH: "/bin",
    HOME: "/home/agent",
    XDG_DATA_HOME: "/home/agent/.local/share",
    OPENCODE_DISABLE_PROJECT_CONFIG: "1",
  })
})
