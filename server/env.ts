import * as z from "zod"
import { isLoopback } from "./private-hosts.ts"

const seconds = (fallback: number) => z.coerce.number().positive().default(fallback)
const flag = z
  .enum(["0", "1"])
  .default("0")
  .transform((value) => value === "1")
const list = z
  .string()
  .default("")
  .transform((text) => text.split(",").flatMap((part) => part.trim() || []))

const httpUrl = z.url({ protocol: /^https?$/, error: "must be an http(s) URL" })
const origin = httpUrl.transform((url) => url.replace(/\/+$/, ""))

/** An Ed25519 seed or public key: base64 of exactly 32 bytes. */
const ed25519Key = z
  .string()
  .refine((text) => Buffer.from(text, "base64").length === 32, "must be base64 of 32 bytes")

export const modelProviderSchema = z.enum([
  "scripted",
  "anthropic",
  "openai",
  "openrouter",
  "compatible",
])
export type ModelProvider = z.infer<typeof modelProviderSchema>

/** Each variable by itself; what they ask of each other follows below. */
export const variablesSchema = z.object({
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/, error: "must be a postgres:// URL" }),
  /** 1 on a laptop and in tests: allows stand-ins, local sandboxes, file:// repositories. */
  AGENT_OPS_LOCAL: flag,
  /** Directory of the local stack: pids, sandboxes, logs. */
  AGENT_OPS_HOME: z.string().min(1).optional(),
  /** Origin that people open. */
  APP_URL: origin,
  /** Origin by which this server reaches the rooms, and by which browsers do. */
  ROOMS_URL: origin,
  ROOMS_PUBLIC_URL: origin.optional(),
  SERVER_SIGNING_KEY: ed25519Key,
  ROOMS_VERIFY_KEY: ed25519Key,
  /** The providers that the broker has keys for, in order of preference; the first model of the first is the default. */
  MODEL_PROVIDERS: list.pipe(z.array(modelProviderSchema)),
  /** Model names that the compatible provider serves. */
  COMPATIBLE_MODELS: list,
  /** The OpenCode program of local sandboxes, instead of the installed one. */
  OPENCODE_BIN: z.string().min(1).optional(),
  SANDBOX_PROVIDER: z.enum(["local", "in-memory"]).default("local"),
  SANDBOX_READY_DEADLINE_SECONDS: seconds(180),
  SANDBOX_CREATE_DEADLINE_SECONDS: seconds(60),
  SANDBOX_CLONE_DEADLINE_SECONDS: seconds(120),
  SANDBOX_AGENT_DEADLINE_SECONDS: seconds(60),
  SANDBOX_WARM_UP_DEADLINE_SECONDS: seconds(60),
  /** How long a lost runner may stay silent before its sandbox counts as gone. */
  RUNNER_GRACE_SECONDS: seconds(180),
  MAX_STARTING_SANDBOXES: z.coerce.number().int().positive().default(2),
  TURN_ACCEPT_DEADLINE_SECONDS: seconds(15),
  TURN_START_DEADLINE_SECONDS: seconds(120),
  TURN_SILENCE_DEADLINE_SECONDS: seconds(300),
  TURN_DEADLINE_SECONDS: seconds(3600),
  LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
})

const schema = variablesSchema
  .transform((values) => ({
    ...values,
    ROOMS_PUBLIC_URL: values.ROOMS_PUBLIC_URL ?? values.ROOMS_URL,
  }))
  .superRefine((values, problems) => {
    if (values.AGENT_OPS_LOCAL) {
      for (const name of ["APP_URL", "ROOMS_URL", "ROOMS_PUBLIC_URL"] as const) {
        if (isLoopback(new URL(values[name]).hostname)) continue
        problems.addIssue({
          code: "custom",
          path: [name],
          message: "must be on localhost with AGENT_OPS_LOCAL=1: its agents are not isolated",
        })
      }
      if (!values.AGENT_OPS_HOME) {
        problems.addIssue({
          code: "custom",
          path: ["AGENT_OPS_HOME"],
          message: "is required with AGENT_OPS_LOCAL=1: the directory of the local stack",
        })
      }
      return
    }
    problems.addIssue({
      code: "custom",
      path: ["SANDBOX_PROVIDER"],
      message: `"${values.SANDBOX_PROVIDER}" needs AGENT_OPS_LOCAL=1`,
    })
    if (values.MODEL_PROVIDERS.includes("scripted")) {
      problems.addIssue({
        code: "custom",
        path: ["MODEL_PROVIDERS"],
        message: '"scripted" needs AGENT_OPS_LOCAL=1',
      })
    }
  })

export type Env = z.infer<typeof schema>

/** Reads and checks all variables; throws one error that lists every problem. */
export function readEnv(source: Record<string, string | undefined>): Env {
  const filled = Object.fromEntries(Object.entries(source).filter(([, value]) => value !== ""))
  const parsed = schema.safeParse(filled)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.map((issue) => `  ${issue.path.join(".")}: ${issue.message}`)
  throw new Error(`The environment is not complete; see .env.example.\n${problems.join("\n")}`)
}

let known: Env | undefined

/** The server's environment, read at first use. */
export function env(): Env {
  known ??= readEnv(process.env)
  return known
}
