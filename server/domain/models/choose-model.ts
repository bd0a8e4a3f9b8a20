import type { Settings } from "../context.ts"
import { Invalid, Precondition } from "../errors.ts"
import { quoted } from "../quoted.ts"
import { modelCatalogue } from "./catalogue.ts"

/** The wished model if there is such a one, else the default. */
export function chooseModel(
  settings: Pick<Settings, "modelProviders" | "compatibleModels">,
  wished: string | undefined,
): string {
  const ids = modelCatalogue(settings).map(({ id }) => id)
  const [first] = ids
  if (first === undefined) {
    throw new Precondition(
      "no-model-configured",
      "No model provider is set up. An operator adds a provider key to the rooms and names it in MODEL_PROVIDERS.",
    )
  }
  const model = wished ?? first
  if (ids.includes(model)) return model
  const problem = model === "" ? "The model's name is empty" : `There is no model ${quoted(model)}`
  throw new Invalid(
    "unknown-model",
    `${problem}. Leave it out, or choose one of: ${ids.join(", ")}.`,
  )
}
