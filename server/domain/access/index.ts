export { findPrompt } from "./find-prompt.ts"
export { findSession } from "./find-session.ts"
export { accessRole, requireWrite } from "./require-write.ts"
