import type { Bindings } from "../env.ts"

export type Wire = "chat-completions" | "responses" | "messages"

const WIRE_BY_PATH: ReadonlyMap<string, Wire> = new Map([
  ["chat/completions", "chat-completions"],
  ["responses", "responses"],
  ["messages", "messages"],
])

export type BrokerRoute = { provider: string; path: string; wire: Wire }

/** `/broker/<provider>/v1/<wire path>` taken apart; null for anything else. */
export function brokerRoute(pathname: string): BrokerRoute | null {
  const match = /^\/broker\/([a-z0-9-]{1,40})\/v1\/([a-z/]{1,40})$/.exec(pathname)
  const [, provider, path] = match ?? []
  const wire = path && WIRE_BY_PATH.get(path)
  return provider && path && wire ? { provider, path, wire } : null
}

/** Where a call goes. `key` is the secret that `headers` carry; null for a provider without one. */
export type Upstream = { url: string; headers: Record<string, string>; key: string | null }

export type UpstreamChoice =
  | { ok: true; upstream: Upstream }
  | { ok: false; problem: "unknown" | "not-configured" }

/** Where a provider's calls go. A base URL is everything before the wire path, `/v1` included where there is one. */
export function chooseUpstream({ provider, path }: BrokerRoute, config: Bindings): UpstreamChoice {
  switch (provider) {
    case "scripted":
    case "scripted-responses":
    case "scripted-messages":
      return config.AGENT_OPS_LOCAL && config.MODEL_URL
        ? chosen(`${config.MODEL_URL}/v1/${path}`, {}, null)
        : NOT_CONFIGURED
    case "anthropic": {
      const key = config.ANTHROPIC_API_KEY
      return key
        ? chosen(`${config.ANTHROPIC_BASE_URL}/${path}`, { "x-api-key": key }, key)
        : NOT_CONFIGURED
    }
    case "openai":
      return withBearer(`${config.OPENAI_BASE_URL}/${path}`, config.OPENAI_API_KEY)
    case "openrouter":
      return withBearer(`${config.OPENROUTER_BASE_URL}/${path}`, config.OPENROUTER_API_KEY)
    case "compatible": {
      const base = config.COMPATIBLE_BASE_URL
      if (!base) return NOT_CONFIGURED
      const url = `${base}/${path}`
      const key = config.COMPATIBLE_API_KEY
      return key ? withBearer(url, key) : chosen(url, {}, null)
    }
    default:
      return { ok: false, problem: "unknown" }
  }
}

const NOT_CONFIGURED: UpstreamChoice = { ok: false, problem: "not-configured" }

function chosen(url: string, headers: Record<string, string>, key: string | null): UpstreamChoice {
  return { ok: true, upstream: { url, headers, key } }
}

function withBearer(url: string, key: string | undefined): UpstreamChoice {
  return key ? chosen(url, { authorization: `Bearer ${key}` }, key) : NOT_CONFIGURED
}
