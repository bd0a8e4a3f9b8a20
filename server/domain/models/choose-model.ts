import type { Settings } from "../context.ts"
import { Invalid, Precondition } from "../errors.ts"
import { modelCatalogue } from "./catalogue.ts"

/** The wished model if there is such a one, else the default. */
export function chooseModel(
  settings: Pick<Settings, "modelProviders" | "compatibleModels">,
  wished: string | undefined,
): string {
  const ids = modelCatalogue(settings).map(({ id }) => id)
  const model = wished ?? ids[0]
  if (model === undefined) {
    throw new Precondition(
      "no-model-configured",
      "No model provider is set up. An operator adds a provider key to the rooms and names it in MODEL_PROVIDERS.",
    )
  }
  if (ids.includes(model)) return model
  throw new Invalid(
    "unknown-model",
    `There is no model ${model}. Available: ${ids.join(", ") || "none, as no provider is set up"}.`,
  )
}
