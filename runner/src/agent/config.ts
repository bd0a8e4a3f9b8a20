import type { SandboxModel, SandboxSpec } from "#protocol/sandbox-spec"

const npmPackages: Record<SandboxModel["wire"], string> = {
  "chat-completions": "@ai-sdk/openai-compatible",
  responses: "@ai-sdk/openai",
  messages: "@ai-sdk/anthropic",
}

/** The model that answers warm-up prompts from inside the runner. */
export const warmUpModel = { providerID: "warm-up", modelID: "warm-up" }

/** OpenCode's two halves of `provider/model`. The model's own name may hold further slashes. */
export function splitModelId(id: string): { providerID: string; modelID: string } {
  const slash = id.indexOf("/")
  return { providerID: id.slice(0, slash), modelID: id.slice(slash + 1) }
}

export type ConfigOptions = {
  spec: Pick<SandboxSpec, "roomsUrl" | "modelToken" | "models">
  /** Base URL of the stub that answers warm-up prompts, ending in `/v1`. */
  warmUpUrl: string
  /** Absolute paths of the repository's own guidance for agents. */
  instructions: string[]
}

/**
 * OpenCode's configuration: every model through the broker with the session's token, nothing asked of a person, nothing
 * shared or updated. Snapshots stay off because the runner takes its own diff of the workspace.
 */
export function agentConfig({ spec, warmUpUrl, instructions }: ConfigOptions) {
  const providers = brokeredProviders(spec)
  return {
    provider: { ...providers, [warmUpModel.providerID]: warmUpProvider(warmUpUrl) },
    enabled_providers: [...Object.keys(providers), warmUpModel.providerID],
    instructions,
    permission: {
      "*": "allow",
      external_directory: "allow",
      doom_loop: "allow",
      // Nobody could answer yet, and an unanswered question blocks its turn for ever.
      question: "deny",
    },
    share: "disabled",
    autoupdate: false,
    snapshot: false,
  }
}

function brokeredProviders({ roomsUrl, modelToken, models }: ConfigOptions["spec"]) {
  const providers: Record<string, ReturnType<typeof brokeredProvider>> = {}
  for (const model of models) {
    const { providerID, modelID } = splitModelId(model.id)
    const baseURL = new URL(`/broker/${encodeURIComponent(providerID)}/v1`, roomsUrl).href
    providers[providerID] ??= brokeredProvider(providerID, model, baseURL, modelToken)
    const provider = providers[providerID]
    provider.whitelist.push(modelID)
    provider.models[modelID] = modelConfig(model)
  }
  return providers
}

function brokeredProvider(name: string, model: SandboxModel, baseURL: string, apiKey: string) {
  return {
    name,
    npm: npmPackages[model.wire],
    options: { baseURL, apiKey },
    // Without it a provider that OpenCode knows would list all of its public models too.
    whitelist: [] as string[],
    models: {} as Record<string, ReturnType<typeof modelConfig>>,
  }
}

function modelConfig(model: SandboxModel) {
  return {
    name: model.name,
    provider: { npm: npmPackages[model.wire] },
    tool_call: true,
    attachment: model.images,
    reasoning: model.reasoning,
    modalities: { input: model.images ? ["text", "image"] : ["text"], output: ["text"] },
    limit: { context: model.contextTokens, output: model.outputTokens },
  }
}

function warmUpProvider(baseURL: string) {
  const model = { name: "Warm-up", tool_call: true, limit: { context: 100_000, output: 1_000 } }
  return {
    name: "Warm-up",
    npm: npmPackages["chat-completions"],
    options: { baseURL, apiKey: "warm-up" },
    models: { [warmUpModel.modelID]: model },
  }
}
