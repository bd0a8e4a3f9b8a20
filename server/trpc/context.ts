import { authenticate } from "../auth/authenticate.ts"
import type { Actor, SystemContext } from "../domain/context.ts"

/** What a procedure starts from. The actor is looked up by the first procedure of a batch that needs one. */
export type RequestContext = {
  system: SystemContext
  actor(): Promise<Actor>
  /** Looks the actor up anew, for an answer that goes on for long. */
  actorNow(): Promise<Actor>
}

export function requestContext(system: SystemContext, headers: Headers): RequestContext {
  let actor: Promise<Actor> | undefined
  const actorNow = () => authenticate(system, headers)
  return {
    system,
    actorNow,
    actor: () => {
      actor ??= actorNow()
      return actor
    },
  }
}
