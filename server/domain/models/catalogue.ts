import type { SandboxModel } from "#protocol/sandbox-spec"
import type { ModelProvider } from "../../env.ts"
import type { Settings } from "../context.ts"

/** Prices in micro-dollars per million tokens. */
export type ModelPrice = { input: number; cachedInput: number; output: number }

export type CatalogueModel = SandboxModel & {
  provider: ModelProvider
  /** A stand-in that plays a script; never a real model. */
  demo: boolean
  /** Null where the platform does not know it. */
  price: ModelPrice | null
}

const dollars = (input: number, cachedInput: number, output: number): ModelPrice => ({
  input: Math.round(input * 1e6),
  cachedInput: Math.round(cachedInput * 1e6),
  output: Math.round(output * 1e6),
})

const scripted = (id: string, name: string, wire: SandboxModel["wire"]): CatalogueModel => ({
  id,
  name,
  wire,
  provider: "scripted",
  demo: true,
  contextTokens: 200_000,
  outputTokens: 32_000,
  reasoning: true,
  images: false,
  price: dollars(1, 0.1, 5),
})

const real = (
  provider: ModelProvider,
  wire: SandboxModel["wire"],
  [model, name, contextTokens, outputTokens, price]: [string, string, number, number, ModelPrice],
): CatalogueModel => ({
  id: `${provider}/${model}`,
  name,
  wire,
  provider,
  demo: false,
  contextTokens,
  outputTokens,
  reasoning: true,
  images: true,
  price,
})

/** List prices of November 2026. The first model of a provider is its default. */
const KNOWN: Record<Exclude<ModelProvider, "compatible">, CatalogueModel[]> = {
  scripted: [
    scripted("scripted/demo", "Demo model", "chat-completions"),
    scripted("scripted-responses/demo", "Demo model (responses)", "responses"),
    scripted("scripted-messages/demo", "Demo model (messages)", "messages"),
  ],
  anthropic: [
    real("anthropic", "messages", [
      "claude-sonnet-5",
      "Claude Sonnet 5",
      1_000_000,
      128_000,
      dollars(2, 0.2, 10),
    ]),
    real("anthropic", "messages", [
      "claude-opus-5-5",
      "Claude Opus 5.5",
      1_000_000,
      128_000,
      dollars(4, 0.2, 20),
    ]),
    real("anthropic", "messages", [
      "claude-haiku-4-5",
      "Claude Haiku 4.5",
      200_000,
      64_000,
      dollars(1, 0.1, 5),
    ]),
  ],
  openai: [
    real("openai", "responses", [
      "gpt-5.6-sol",
      "GPT-5.6 Sol",
      1_050_000,
      128_000,
      dollars(4, 0.4, 20),
    ]),
    real("openai", "responses", [
      "gpt-5.6-terra",
      "GPT-5.6 Terra",
      1_050_000,
      128_000,
      dollars(2, 0.2, 12),
    ]),
    real("openai", "responses", [
      "gpt-5.6-luna",
      "GPT-5.6 Luna",
      1_050_000,
      128_000,
      dollars(0.2, 0.02, 1.2),
    ]),
  ],
  openrouter: [
    real("openrouter", "chat-completions", [
      "anthropic/claude-sonnet-5",
      "Claude Sonnet 5 (OpenRouter)",
      1_000_000,
      128_000,
      dollars(2, 0.2, 10),
    ]),
    real("openrouter", "chat-completions", [
      "google/gemini-3.8-flash",
      "Gemini 3.8 Flash (OpenRouter)",
      1_048_576,
      65_536,
      dollars(0.75, 0.075, 3.75),
    ]),
    real("openrouter", "chat-completions", [
      "moonshotai/kimi-k2.5",
      "Kimi K2.5 (OpenRouter)",
      262_144,
      235_929,
      dollars(0.45, 0.07, 2.25),
    ]),
  ],
}

const compatible = (name: string): CatalogueModel => ({
  id: `compatible/${name}`,
  name,
  wire: "chat-completions",
  provider: "compatible",
  demo: false,
  contextTokens: 128_000,
  outputTokens: 16_000,
  reasoning: false,
  images: false,
  price: null,
})

/** The models that the broker can lend, in order of preference. */
export function modelCatalogue(
  settings: Pick<Settings, "modelProviders" | "compatibleModels">,
): CatalogueModel[] {
  return settings.modelProviders.flatMap((provider) =>
    provider === "compatible" ? settings.compatibleModels.map(compatible) : KNOWN[provider],
  )
}
