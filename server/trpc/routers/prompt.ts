import { pageSchema } from "../../domain/paging.ts"
import {
  editPrompt,
  editPromptInput,
  listPrompts,
  listPromptsInput,
  promotePrompt,
  promptRefInput,
  promptSchema,
  retryPrompt,
  sendPrompt,
  sendPromptInput,
  stopPrompt,
  withdrawPrompt,
} from "../../domain/prompts/index.ts"
import { procedure, router } from "../init.ts"

export const promptRouter = router({
  send: procedure
    .input(sendPromptInput)
    .output(promptSchema)
    .mutation(({ ctx, input }) => sendPrompt(ctx, input)),
  list: procedure
    .input(listPromptsInput)
    .output(pageSchema(promptSchema))
    .query(({ ctx, input }) => listPrompts(ctx, input)),
  withdraw: procedure
    .input(promptRefInput)
    .output(promptSchema)
    .mutation(({ ctx, input }) => withdrawPrompt(ctx, input)),
  promote: procedure
    .input(promptRefInput)
    .output(promptSchema)
    .mutation(({ ctx, input }) => promotePrompt(ctx, input)),
  edit: procedure
    .input(editPromptInput)
    .output(promptSchema)
    .mutation(({ ctx, input }) => editPrompt(ctx, input)),
  retry: procedure
    .input(promptRefInput)
    .output(promptSchema)
    .mutation(({ ctx, input }) => retryPrompt(ctx, input)),
  stop: procedure
    .input(promptRefInput)
    .output(promptSchema)
    .mutation(({ ctx, input }) => stopPrompt(ctx, input)),
})
