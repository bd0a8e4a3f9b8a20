/** One line of the runner's log with its facts. */
export type Log = (message: string, facts?: Record<string, unknown>) => void
