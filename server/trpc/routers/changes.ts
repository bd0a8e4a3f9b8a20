import { diffSchema } from "#protocol/work"
import {
  changesDiff,
  changesFile,
  changesFileInput,
  changesInput,
  changesSummary,
  changesSummarySchema,
  workspaceFileSchema,
} from "../../domain/changes/index.ts"
import { procedure, router } from "../init.ts"

export const changesRouter = router({
  summary: procedure
    .input(changesInput)
    .output(changesSummarySchema)
    .query(({ ctx, input }) => changesSummary(ctx, input)),
  diff: procedure
    .input(changesInput)
    .output(diffSchema)
    .query(({ ctx, input }) => changesDiff(ctx, input)),
  file: procedure
    .input(changesFileInput)
    .output(workspaceFileSchema)
    .query(({ ctx, input }) => changesFile(ctx, input)),
})
