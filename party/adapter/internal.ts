import { failureSchema } from "#protocol/entry"
import { attemptRefSchema, modelUsageSchema } from "#protocol/work"
import { z } from "#protocol/zod"

/**
 * Requests inside the Worker carry what it has already verified in headers of this prefix; the Worker strips them from
 * everything that comes from outside.
 */
const PREFIX = "x-agent-ops-"
export const ADMISSION_HEADER = `${PREFIX}admission`

/** What the Worker has verified about a socket or request before it reaches a room. */
export const admissionSchema = z.discriminatedUnion("as", [
  z.object({
    as: z.literal("viewer"),
    userId: z.string(),
    name: z.string(),
    grantId: z.string(),
    role: z.enum(["operate", "observe"]),
    /** Seconds since 1970 until which the ticket may be used; the room forgets its id after that. */
    ticketExp: z.int(),
  }),
  z.object({ as: z.literal("runner"), generation: z.int().positive() }),
  z.object({ as: z.literal("server") }),
  z.object({ as: z.literal("broker"), generation: z.int().positive() }),
])
export type Admission = z.infer<typeof admissionSchema>

/** What the broker asks of a session's room. */
export const brokerCallSchema = z.discriminatedUnion("call", [
  z.object({ call: z.literal("authorize-model") }),
  z.object({ call: z.literal("usage"), usage: modelUsageSchema }),
])
export type BrokerCall = z.infer<typeof brokerCallSchema>

/** The room's answer to `authorize-model`: who pays for which attempt, or why the token is refused. */
export const modelPermitSchema = z.union([
  z.object({
    ok: z.literal(true),
    value: z.object({ attempt: attemptRefSchema.nullable() }),
  }),
  z.object({ ok: z.literal(false), error: failureSchema }),
])
export type ModelPermit = z.infer<typeof modelPermitSchema>

/** A copy of the request that carries the admission and nothing an outsider set under our names. */
export function admitted(request: Request, admission: Admission): Request {
  const headers = new Headers(request.headers)
  for (const name of [...headers.keys()]) if (name.startsWith(PREFIX)) headers.delete(name)
  headers.delete("authorization")
  headers.set(ADMISSION_HEADER, encodeURIComponent(JSON.stringify(admission)))
  return new Request(request, { headers })
}

export function admissionOf(request: Request): Admission {
  const header = request.headers.get(ADMISSION_HEADER)
  if (!header) throw new Error("A request reached a room without admission")
  return admissionSchema.parse(JSON.parse(decodeURIComponent(header)))
}
