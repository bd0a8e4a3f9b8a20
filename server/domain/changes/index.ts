export { changesDiff, changesInput } from "./changes-diff.ts"
export { changesFile, changesFileInput, workspaceFileSchema } from "./changes-file.ts"
export { changesSummary, changesSummarySchema } from "./changes-summary.ts"
