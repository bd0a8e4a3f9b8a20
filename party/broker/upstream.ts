import type { Bindings } from "../env.ts"

export type Wire = "chat-completions" | "responses" | "messages"

const WIRE_BY_PATH: Record<string, Wire> = {
  "chat/completions": "chat-completions",
  responses: "responses",
  messages: "messages",
}

/** `/broker/<provider>/v1/<wire path>` taken apart; null for anything else. */
export function brokerRoute(
  pathname: string,
): { provider: string; path: string; wire: Wire } | null {
  const match = /^\/broker\/([a-z0-9-]{1,40})\/v1\/([a-z/]{1,40})$/.exec(pathname)
  const [, provider, path] = match ?? []
  const wire = path && Object.hasOwn(WIRE_BY_PATH, path) ? WIRE_BY_PATH[path] : undefined
  return provider && path && wire ? { provider, path, wire } : null
}

export type Upstream = { url: string; headers: Record<string, string> }

/** Where a provider's calls go and the key they carry; null when the platform has none for it. */
export function upstreamFor(provider: string, path: string, config: Bindings): Upstream | null {
  switch (provider) {
    case "scripted":
    case "scripted-responses":
    case "scripted-messages":
      if (!config.AGENT_OPS_LOCAL || !config.MODEL_URL) return null
      return { url: `${config.MODEL_URL.replace(/\/+$/, "")}/v1/${path}`, headers: {} }
    case "anthropic":
      return config.ANTHROPIC_API_KEY
        ? {
            url: `${config.ANTHROPIC_BASE_URL}/${path}`,
            headers: { "x-api-key": config.ANTHROPIC_API_KEY },
          }
        : null
    case "openai":
      return bearer(config.OPENAI_BASE_URL, path, config.OPENAI_API_KEY)
    case "openrouter":
      return bearer(config.OPENROUTER_BASE_URL, path, config.OPENROUTER_API_KEY)
    case "compatible":
      return config.COMPATIBLE_BASE_URL
        ? bearer(config.COMPATIBLE_BASE_URL, path, config.COMPATIBLE_API_KEY ?? "none")
        : null
    default:
      return null
  }
}

function bearer(baseUrl: string, path: string, key: string | undefined): Upstream | null {
  return key ? { url: `${baseUrl}/${path}`, headers: { authorization: `Bearer ${key}` } } : null
}
