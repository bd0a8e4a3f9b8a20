/** States in which a sandbox row stands for a machine that runs or is on its way. At most one per session. */
export const LIVE_SANDBOX = ["requested", "starting", "ready"] as const

/** States of an attempt that has not ended. */
export const LIVE_ATTEMPT = ["dispatched", "running"] as const
