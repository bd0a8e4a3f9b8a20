import { connectionSchema } from "../../domain/grants/index.ts"
import { connectTeam } from "../../domain/teams/index.ts"
import { procedure, router } from "../init.ts"

export const teamRouter = router({
  connect: procedure.output(connectionSchema).mutation(({ ctx }) => connectTeam(ctx)),
})
