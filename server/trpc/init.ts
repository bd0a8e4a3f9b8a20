import { initTRPC } from "@trpc/server"
import type { DomainContext } from "../domain/context.ts"
import type { RequestContext } from "./context.ts"
import { messageOf, reasonOf, toTRPCError } from "./errors.ts"

/** How often an idle event stream says that it lives. */
const PING_INTERVAL_MS = 10_000

const t = initTRPC.context<RequestContext>().create({
  isDev: false,
  sse: {
    ping: { enabled: true, intervalMs: PING_INTERVAL_MS },
    client: { reconnectAfterInactivityMs: 3 * PING_INTERVAL_MS },
  },
  errorFormatter: ({ shape, error }) => {
    const { code, httpStatus, path } = shape.data
    return {
      ...shape,
      message: messageOf(error),
      data: { code, httpStatus, path, reason: reasonOf(error) },
    }
  },
})

const mapped = t.middleware(async ({ next }) => {
  const result = await next()
  if (result.ok) return result
  throw toTRPCError(result.error)
})

const signedIn = t.middleware(async ({ ctx, next }) => {
  const domain: DomainContext = { ...ctx.system, actor: await ctx.actor() }
  return next({ ctx: { ...domain, actorNow: ctx.actorNow } })
})

export const router = t.router
/** The base of every procedure: errors are mapped once, and there is an actor. */
export const procedure = t.procedure.use(mapped).use(signedIn)
