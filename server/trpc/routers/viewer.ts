import { viewerMe, viewerSchema } from "../../domain/users/index.ts"
import { procedure, router } from "../init.ts"

export const viewerRouter = router({
  me: procedure.output(viewerSchema).query(({ ctx }) => viewerMe(ctx)),
})
