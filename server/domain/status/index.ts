export { changeSession, lockSession } from "./change-session.ts"
export { refreshStatus } from "./refresh-status.ts"
export { PLATFORM_STOPPED } from "./session-status.ts"
