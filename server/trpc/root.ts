import { router } from "./init.ts"
import { changesRouter } from "./routers/changes.ts"
import { modelRouter } from "./routers/model.ts"
import { promptRouter } from "./routers/prompt.ts"
import { sandboxRouter } from "./routers/sandbox.ts"
import { sessionRouter } from "./routers/session.ts"
import { teamRouter } from "./routers/team.ts"
import { timelineRouter } from "./routers/timeline.ts"
import { viewerRouter } from "./routers/viewer.ts"

export const appRouter = router({
  changes: changesRouter,
  model: modelRouter,
  prompt: promptRouter,
  sandbox: sandboxRouter,
  session: sessionRouter,
  team: teamRouter,
  timeline: timelineRouter,
  viewer: viewerRouter,
})
export type AppRouter = typeof appRouter
