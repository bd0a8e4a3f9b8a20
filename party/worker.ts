import { admit, partyOf } from "./adapter/admit.ts"
import { log } from "./adapter/log.ts"
import { postTick } from "./adapter/post-tick.ts"
import { lendModel } from "./broker/broker.ts"
import { Bus } from "./bus.ts"
import { bindings, type RoomsEnv } from "./env.ts"
import { Session } from "./session.ts"

export { Bus, Session }

export default {
  async fetch(request, env, ctx) {
    try {
      return await route(request, env, ctx)
    } catch (error) {
      log("request.failed", { error: String(error) })
      return new Response("The rooms failed on this request", { status: 500 })
    }
  },
  async scheduled(_controller, env) {
    await postTick(bindings(env))
  },
} satisfies ExportedHandler<RoomsEnv>

async function route(request: Request, env: RoomsEnv, ctx: ExecutionContext): Promise<Response> {
  const { pathname } = new URL(request.url)
  if (pathname === "/health") return health(env)
  if (pathname.startsWith("/broker/")) return lendModel(request, env, ctx)
  const party = partyOf(pathname)
  return party ? admit(request, party, env) : new Response("Not found", { status: 404 })
}

function health(env: RoomsEnv): Response {
  bindings(env)
  return Response.json({ ok: true })
}
