import * as z from "zod"
import { failureSchema } from "#protocol/entry"
import { attemptRefSchema, modelUsageSchema } from "#protocol/work"

/** What the Worker has verified about a socket or request before it reaches a room. */
const admissionSchema = z.discriminatedUnion("as", [
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

/** The room's answer to `authorize-model`: the attempt that a call counts for, or why the token is refused. */
export const modelPermitSchema = z.union([
  z.object({
    ok: z.literal(true),
    value: z.object({ attempt: attemptRefSchema.nullable() }),
  }),
  z.object({ ok: z.literal(false), error: failureSchema }),
])
export type ModelPermit = z.infer<typeof modelPermitSchema>

const ADMISSION_HEADER = "x-agent-ops-admission"

/**
 * A room is addressed by its stub alone, and its library reads headers and query parameters of its own: the requests
 * that reach it are made here, and nothing that an outsider wrote is in them but a verified body.
 */
const ROOM_URL = "https://room/"

export function admittedSocket(admission: Admission): Request {
  return new Request(ROOM_URL, { headers: { upgrade: "websocket", ...headerOf(admission) } })
}

export function admittedCall(admission: Admission, body: unknown): Request {
  return admittedBody(admission, JSON.stringify(body))
}

/** `body` is JSON already. */
export function admittedBody(admission: Admission, body: string | Uint8Array): Request {
  return new Request(ROOM_URL, { method: "POST", headers: headerOf(admission), body })
}

export function admissionOf(request: Request): Admission {
  const header = request.headers.get(ADMISSION_HEADER)
  if (!header) throw new Error("A request reached a room without admission")
  return admissionSchema.parse(JSON.parse(decodeURIComponent(header)))
}

function headerOf(admission: Admission): Record<string, string> {
  return { [ADMISSION_HEADER]: encodeURIComponent(JSON.stringify(admission)) }
}
