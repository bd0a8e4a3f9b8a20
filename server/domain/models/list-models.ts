import * as z from "zod"
import type { DomainContext } from "../context.ts"
import { modelCatalogue } from "./catalogue.ts"

export const modelSchema = z.object({
  /** `provider/model`. */
  id: z.string(),
  name: z.string(),
  provider: z.string(),
  /** A stand-in that plays a script instead of a real model. */
  demo: z.boolean(),
  contextTokens: z.int(),
  outputTokens: z.int(),
  reasoning: z.boolean(),
  images: z.boolean(),
  /** Micro-dollars per million tokens. */
  price: z.object({ input: z.int(), cachedInput: z.int(), output: z.int() }).nullable(),
})

/** The models that can be asked for; the first is the default. */
export async function listModels(
  ctx: DomainContext,
): Promise<{ items: z.infer<typeof modelSchema>[]; nextCursor: null }> {
  return {
    items: modelCatalogue(ctx.settings).map((model) => modelSchema.parse(model)),
    nextCursor: null,
  }
}
