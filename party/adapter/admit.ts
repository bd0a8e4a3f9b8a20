import { CLOSE, type CloseCode } from "#protocol/close-code"
import { sessionIdSchema, teamIdSchema } from "#protocol/ids"
import { MAX_MESSAGE_CHARS } from "#protocol/limits"
import { busAudience, sessionAudience } from "#protocol/token"
import { SUBPROTOCOL } from "#protocol/version"
import { type Bindings, bindings, type RoomsEnv } from "../env.ts"
import { type Admission, admitted } from "./internal.ts"
import { BadToken, verifyCall, verifyRunnerToken, verifyTicket } from "./tokens.ts"

/** Calls carry at most one message and its envelope. */
const MAX_CALL_CHARS = 2 * MAX_MESSAGE_CHARS

type Party = { name: "session" | "bus"; id: string }

/** Lets a request through to its room with what was verified about it, or answers it here. */
export async function admit(
  request: Request,
  party: Party,
  env: RoomsEnv,
): Promise<Request | Response> {
  const config = bindings(env)
  const upgrade = request.headers.get("upgrade")?.toLowerCase() === "websocket"
  if (!knownId(party)) return new Response("No such room", { status: 404 })
  if (upgrade) return admitSocket(request, party, config)
  if (request.method === "POST") return admitCall(request, config)
  return new Response("Rooms are reached by WebSocket", { status: 405 })
}

function knownId({ name, id }: Party): boolean {
  const schema = name === "session" ? sessionIdSchema : teamIdSchema
  return schema.safeParse(id).success
}

async function admitSocket(request: Request, party: Party, config: Bindings) {
  if (!originAllowed(request, config)) {
    return refuseSocket(CLOSE.forbidden, "This page may not open a live connection.")
  }
  const offered = (request.headers.get("sec-websocket-protocol") ?? "")
    .split(",")
    .map((p) => p.trim())
  if (!offered.includes(SUBPROTOCOL)) {
    return refuseSocket(CLOSE.wrongVersion, `Offer the subprotocol ${SUBPROTOCOL}.`)
  }
  try {
    return admitted(withoutQuery(request), await readAdmission(request, offered, party, config))
  } catch (error) {
    if (error instanceof BadToken) return refuseSocket(CLOSE.unauthorized, error.message)
    throw error
  }
}

async function readAdmission(
  request: Request,
  offered: string[],
  party: Party,
  config: Bindings,
): Promise<Admission> {
  const bearer = bearerToken(request)
  if (bearer && party.name === "session") {
    const claims = await verifyRunnerToken(bearer, config.SERVER_VERIFY_KEY, party.id)
    if (claims.sub !== party.id) throw new BadToken("The token is for another session.")
    return { as: "runner", generation: claims.gen }
  }
  const ticket = offered.find((item) => item !== SUBPROTOCOL)
  if (!ticket) throw new BadToken("Offer the ticket as the second subprotocol.")
  const audience = party.name === "session" ? sessionAudience(party.id) : busAudience(party.id)
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

async function admitCall(request: Request, config: Bindings) {
  const body = await request.clone().text()
  if (body.length > MAX_CALL_CHARS) return new Response("The call is too large", { status: 413 })
  try {
    const path = new URL(request.url).pathname
    await verifyCall(bearerToken(request) ?? "", config.SERVER_VERIFY_KEY, path, body)
    return admitted(request, { as: "server" })
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

/** A client-chosen `_pk` would let two sockets share one connection id. */
function withoutQuery(request: Request): Request {
  const url = new URL(request.url)
  url.search = ""
  return new Request(url, request)
}

function bearerToken(request: Request): string | null {
  const header = request.headers.get("authorization")
  return header?.startsWith("Bearer ") ? header.slice(7) : null
}

/** Accepts and closes at once: a failed handshake would tell the client's code nothing about why. */
export function refuseSocket(code: CloseCode, reason: string): Response {
  const { 0: client, 1: server } = new WebSocketPair()
  server.accept()
  server.close(code, reason)
  return new Response(null, { status: 101, webSocket: client, headers: protocolHeader })
}

const protocolHeader = { "sec-websocket-protocol": SUBPROTOCOL }

/** partyserver does not name the chosen subprotocol, and browsers drop a socket whose server does not. */
export function withSubprotocol(response: Response): Response {
  if (response.status !== 101 || !response.webSocket) return response
  return new Response(null, { status: 101, webSocket: response.webSocket, headers: protocolHeader })
}
