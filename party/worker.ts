import { routePartykitRequest } from "partyserver"
import { admit, withSubprotocol } from "./adapter/admit.ts"
import { lendModel } from "./broker/broker.ts"
import { Bus } from "./bus.ts"
import { bindings, type RoomsEnv } from "./env.ts"
import { Session } from "./session.ts"

export { Bus, Session }

export default {
  async fetch(request, env, ctx) {
    const { pathname } = new URL(request.url)
    if (pathname === "/health") return health(env)
    if (pathname.startsWith("/broker/")) return lendModel(request, env, ctx)

    const [prefix, name, id, ...rest] = pathname.split("/").filter(Boolean)
    const party = name === "session" || name === "bus" ? name : null
    if (prefix !== "parties" || !party || !id || rest.length > 0) {
      return new Response("Not found", { status: 404 })
    }
    const answer = await admit(request, { name: party, id }, env)
    if (answer instanceof Response) return answer
    const response = await routePartykitRequest(answer, env)
    return response ? withSubprotocol(response) : new Response("Not found", { status: 404 })
  },
} satisfies ExportedHandler<RoomsEnv>

function health(env: RoomsEnv): Response {
  bindings(env)
  return Response.json({ ok: true })
}
