import { timelinePage, timelinePageInput, timelinePageSchema } from "../../domain/timeline/index.ts"
import { procedure, router } from "../init.ts"

export const timelineRouter = router({
  page: procedure
    .input(timelinePageInput)
    .output(timelinePageSchema)
    .query(({ ctx, input }) => timelinePage(ctx, input)),
})
