import { CLOSE } from "#protocol/close-code"
import { sessionIdSchema, teamIdSchema } from "#protocol/ids"
import { MAX_MESSAGE_CHARS } from "#protocol/limits"
import { busAudience, sessionAudience } from "#protocol/token"
import { SUBPROTOCOL } from "#protocol/version"
import { type Bindings, bindings, type RoomsEnv } from "../env.ts"
import { boundedBody } from "./bounded-body.ts"
import { type Admission, admittedBody, admittedSocket } from "./internal.ts"
import { log } from "./log.ts"
import { answerSocket, offeredProtocols, refuseSocket, roomUnavailable } from "./refuse-socket.ts"
import { type Party, roomOf } from "./rooms.ts"
import { BadToken, isBodyOf, verifyCall, verifyRunnerToken, verifyTicket } from "./tokens.ts"

/** Calls carry at most one message and its envelope. */
const MAX_CALL_BYTES = 4 * MAX_MESSAGE_CHARS

/** `/parties/session/:sessionId` or `/parties/bus/:teamId`; null for anything else. */
export function partyOf(pathname: string): Party | null {
  const [, name = "", id = ""] = /^\/parties\/(session|bus)\/([^/]+)$/.exec(pathname) ?? []
  if (name === "session" && sessionIdSchema.safeParse(id).success) return { name, id }
  if (name === "bus" && teamIdSchema.safeParse(id).success) return { name, id }
  return null
}

/** Lets a verified socket or call through to its room, and answers every other request itself. */
export async function admit(request: Request, party: Party, env: RoomsEnv): Promise<Response> {
  const config = bindings(env)
  const asksForSocket = request.headers.get("upgrade")?.toLowerCase() === "websocket"
  const admitted = asksForSocket
    ? await admitSocket(request, party, config)
    : await admitCall(request, config)
  if (admitted instanceof Response) return admitted
  try {
    const response = await roomOf(env, party).fetch(admitted)
    return asksForSocket ? await answerSocket(request, response) : response
  } catch (error) {
    log("room.unavailable", { party: party.name, error: String(error) })
    return asksForSocket
      ? roomUnavailable(request)
      : new Response("The room is not available now", { status: 503 })
  }
}

async function admitSocket(
  request: Request,
  party: Party,
  config: Bindings,
): Promise<Request | Response> {
  if (!originAllowed(request, config)) {
    return refuseSocket(request, CLOSE.forbidden, "This page may not open a live connection.")
  }
  const [version, ticket] = offeredProtocols(request)
  if (version !== SUBPROTOCOL) {
    return refuseSocket(request, CLOSE.wrongVersion, `Offer the subprotocol ${SUBPROTOCOL} first.`)
  }
  try {
    const token = bearerToken(request)
    return admittedSocket(
      token && party.name === "session"
        ? await admitRunner(token, party, config)
        : await admitViewer(ticket, party, config),
    )
  } catch (error) {
    if (error instanceof BadToken) return refuseSocket(request, CLOSE.unauthorized, error.message)
    throw error
  }
}

async function admitRunner(token: string, party: Party, config: Bindings): Promise<Admission> {
  const { gen } = await verifyRunnerToken(token, config.SERVER_VERIFY_KEY, party.id)
  return { as: "runner", generation: gen }
}

async function admitViewer(
  ticket: string | undefined,
  { name, id }: Party,
  config: Bindings,
): Promise<Admission> {
  if (!ticket) throw new BadToken("Offer the ticket as the second subprotocol.")
  const audience = name === "session" ? sessionAudience(id) : busAudience(id)
  const claims = await verifyTicket(ticket, config.SERVER_VERIFY_KEY, audience)
  return {
    as: "viewer",
    userId: claims.sub,
    name: claims.name,
    grantId: claims.jti,
    role: claims.role,
    ticketExp: claims.exp,
  }
}

async function admitCall(request: Request, config: Bindings): Promise<Request | Response> {
  if (request.method !== "POST") {
    return new Response("Rooms are reached by WebSocket", { status: 405 })
  }
  try {
    const path = new URL(request.url).pathname
    const claims = await verifyCall(bearerToken(request) ?? "", config.SERVER_VERIFY_KEY, path)
    const body = await boundedBody(request, MAX_CALL_BYTES)
    if (!body) return new Response("The call is too large", { status: 413 })
    if (!(await isBodyOf(claims, body))) throw new BadToken("The call's token is for another body.")
    return admittedBody({ as: "server" }, body)
  } catch (error) {
    if (error instanceof BadToken) return new Response(error.message, { status: 401 })
    throw error
  }
}

/** Browsers always send an Origin; what sends none is not a page and has only its ticket. */
function originAllowed(request: Request, config: Bindings): boolean {
  const origin = request.headers.get("origin")
  return origin === null || origin === config.WEB_URL || config.ALLOWED_ORIGINS.includes(origin)
}

function bearerToken(request: Request): string | null {
  const header = request.headers.get("authorization")
  return header?.startsWith("Bearer ") ? header.slice(7) : null
}
