const LAST_FIRST_PORT = 65_530

/** The first port of a stack as a person gives it, or null when the text is none. */
export function firstPort(text: string): number | null {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  return port >= 1 && port <= LAST_FIRST_PORT ? port : null
}
