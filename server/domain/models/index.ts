export { modelCatalogue } from "./catalogue.ts"
export { chooseModel } from "./choose-model.ts"
export { listModels, modelSchema } from "./list-models.ts"
export { modelCostMicros } from "./model-cost.ts"
