import "./eval-free.ts"
import * as z from "zod"
import { sessionIdSchema } from "./ids.ts"

/** A model as the sandbox's agent is told of it. The broker, not the agent, knows where it really runs. */
export const sandboxModelSchema = z.object({
  /** `provider/model`. */
  id: z.string(),
  name: z.string(),
  /** Wire form that the agent speaks to the broker. */
  wire: z.enum(["chat-completions", "responses", "messages"]),
  contextTokens: z.int().positive(),
  outputTokens: z.int().positive(),
  reasoning: z.boolean(),
  images: z.boolean(),
})
export type SandboxModel = z.infer<typeof sandboxModelSchema>

/**
 * All that a sandbox is told, as one JSON file whose path stands in `AGENT_OPS_SPEC`. Its tokens work for this session
 * and generation only.
 */
export const sandboxSpecSchema = z.object({
  sessionId: sessionIdSchema,
  generation: z.int().positive(),
  /** Origin of the rooms, `http(s)://host[:port]`. */
  roomsUrl: z.url(),
  runnerToken: z.string(),
  modelToken: z.string(),
  repoUrl: z.string(),
  /** A branch or a tag; null for the repository's default branch, or its only one when its HEAD names none. */
  branch: z.string().nullable(),
  models: z.array(sandboxModelSchema).min(1),
  /** Longest time for each boot phase. */
  deadlines: z.object({
    cloneMs: z.int().positive(),
    agentMs: z.int().positive(),
    warmUpMs: z.int().positive(),
  }),
})
export type SandboxSpec = z.infer<typeof sandboxSpecSchema>
