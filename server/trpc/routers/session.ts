import { getTRPCErrorFromUnknown, tracked } from "@trpc/server"
import { connectionSchema } from "../../domain/grants/index.ts"
import { pageSchema } from "../../domain/paging.ts"
import {
  archiveSession,
  archiveSessionInput,
  connectSession,
  createSession,
  createSessionInput,
  getSession,
  listSessions,
  listSessionsInput,
  renameSession,
  renameSessionInput,
  sessionRefInput,
  sessionSchema,
  terminateSession,
  wakeSession,
} from "../../domain/sessions/index.ts"
import { sessionEvents, sessionEventsInput } from "../../domain/timeline/index.ts"
import { toTRPCError } from "../errors.ts"
import { procedure, router } from "../init.ts"

export const sessionRouter = router({
  create: procedure
    .input(createSessionInput)
    .output(sessionSchema)
    .mutation(({ ctx, input }) => createSession(ctx, input)),
  list: procedure
    .input(listSessionsInput.prefault({}))
    .output(pageSchema(sessionSchema))
    .query(({ ctx, input }) => listSessions(ctx, input)),
  get: procedure
    .input(sessionRefInput)
    .output(sessionSchema)
    .query(({ ctx, input }) => getSession(ctx, input)),
  rename: procedure
    .input(renameSessionInput)
    .output(sessionSchema)
    .mutation(({ ctx, input }) => renameSession(ctx, input)),
  archive: procedure
    .input(archiveSessionInput)
    .output(sessionSchema)
    .mutation(({ ctx, input }) => archiveSession(ctx, input)),
  terminate: procedure
    .input(sessionRefInput)
    .output(sessionSchema)
    .mutation(({ ctx, input }) => terminateSession(ctx, input)),
  wake: procedure
    .input(sessionRefInput)
    .output(sessionSchema)
    .mutation(({ ctx, input }) => wakeSession(ctx, input)),
  connect: procedure
    .input(sessionRefInput)
    .output(connectionSchema)
    .mutation(({ ctx, input }) => connectSession(ctx, input)),
  events: procedure.input(sessionEventsInput).subscription(async function* ({
    ctx,
    input,
    signal,
  }) {
    try {
      const { actorNow } = ctx
      const events = sessionEvents(ctx, input, { signal, actorNow })
      for await (const event of events) yield tracked(event.id, event)
    } catch (error) {
      throw toTRPCError(getTRPCErrorFromUnknown(error))
    }
  }),
})
