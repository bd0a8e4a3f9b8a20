import type { DurableObjectNamespace } from "@cloudflare/workers-types"
import * as z from "zod"

const seed = z
  .string()
  .refine(
    (text) => decodedLength(text) === 32,
    "must be 32 bytes in base64 (openssl rand -base64 32)",
  )
const origin = z.url().transform((text) => new URL(text).origin)
const baseUrl = z.url().transform((text) => text.replace(/\/+$/, ""))

/** An empty value counts as none. */
const blankIsNone = <Schema extends z.ZodType>(schema: Schema) =>
  z.preprocess((value) => (value === "" ? undefined : value), schema)
const optionalKey = blankIsNone(z.string().optional())
const optionalUrl = blankIsNone(baseUrl.optional())
const urlOr = (usual: string) => blankIsNone(baseUrl.default(usual))

/** What the Worker is configured with. `.env.example` and `.env.deploy.example` explain each name. */
export const bindingsSchema = z.object({
  WEB_URL: origin,
  ALLOWED_ORIGINS: z
    .string()
    .default("")
    .transform((list) =>
      list
        .split(",")
        .map((item) => item.trim())
        .filter(Boolean),
    ),
  ROOMS_SIGNING_KEY: seed,
  SERVER_VERIFY_KEY: seed,
  AGENT_OPS_LOCAL: z
    .string()
    .optional()
    .transform((flag) => flag === "1"),
  MODEL_URL: optionalUrl,
  ANTHROPIC_API_KEY: optionalKey,
  ANTHROPIC_BASE_URL: urlOr("https://api.anthropic.com/v1"),
  OPENAI_API_KEY: optionalKey,
  OPENAI_BASE_URL: urlOr("https://api.openai.com/v1"),
  OPENROUTER_API_KEY: optionalKey,
  OPENROUTER_BASE_URL: urlOr("https://openrouter.ai/api/v1"),
  COMPATIBLE_API_KEY: optionalKey,
  COMPATIBLE_BASE_URL: optionalUrl,
})
export type Bindings = z.output<typeof bindingsSchema>

/** What workerd passes to every handler. The namespaces stay untyped: naming their classes would be an import cycle. */
export type RoomsEnv = {
  Session: DurableObjectNamespace
  Bus: DurableObjectNamespace
} & Partial<Record<keyof Bindings, string>>

const read = new WeakMap<RoomsEnv, Bindings>()

/** The checked configuration; lists every problem at once. */
export function bindings(env: RoomsEnv): Bindings {
  const known = read.get(env)
  if (known) return known
  const parsed = bindingsSchema.safeParse(env)
  if (!parsed.success) {
    throw new Error(`The rooms' configuration is not usable:\n${z.prettifyError(parsed.error)}`)
  }
  read.set(env, parsed.data)
  return parsed.data
}

function decodedLength(base64: string): number {
  try {
    return atob(base64).length
  } catch {
    return 0
  }
}
