import { listModels, modelSchema } from "../../domain/models/index.ts"
import { pageSchema } from "../../domain/paging.ts"
import { procedure, router } from "../init.ts"

export const modelRouter = router({
  list: procedure.output(pageSchema(modelSchema)).query(({ ctx }) => listModels(ctx)),
})
