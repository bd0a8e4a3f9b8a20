import { getSandbox, getSandboxInput, sandboxSchema } from "../../domain/sandboxes/index.ts"
import { procedure, router } from "../init.ts"

export const sandboxRouter = router({
  get: procedure
    .input(getSandboxInput)
    .output(sandboxSchema.nullable())
    .query(({ ctx, input }) => getSandbox(ctx, input)),
})
