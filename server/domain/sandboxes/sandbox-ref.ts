/** Names one generation of a session's machine. */
export type SandboxRef = { sessionId: string; generation: number }
