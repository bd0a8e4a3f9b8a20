import type { ReportOf } from "#protocol/work"
import type { Settings } from "../context.ts"
import { modelCatalogue } from "./catalogue.ts"

type Tokens = Pick<
  ReportOf<"model.usage">,
  "model" | "inputTokens" | "outputTokens" | "cachedInputTokens"
>

/** What a call cost in micro-dollars; `inputTokens` includes the cached ones. 0 where no price is known. */
export function modelCostMicros(
  settings: Pick<Settings, "modelProviders" | "compatibleModels">,
  usage: Tokens,
): number {
  const price = modelCatalogue(settings).find(({ id }) => id === usage.model)?.price
  if (!price) return 0
  const cached = Math.min(usage.cachedInputTokens, usage.inputTokens)
  const micros =
    (usage.inputTokens - cached) * price.input +
    cached * price.cachedInput +
    usage.outputTokens * price.output
  return Math.round(micros / 1e6)
}
