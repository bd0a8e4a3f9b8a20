/** How a runner ended, for its supervisor. Any other code, and any signal, is a crash. */
export const EXIT = {
  /** It was told to stop, by a signal or by the room for good. */
  stopped: 0,
  /** Its environment or spec is wrong: starting it again changes nothing. */
  misconfigured: 2,
  /** The boot failed and was reported. */
  bootFailed: 3,
} as const

const LAST_WORDS: ReadonlySet<number> = new Set(Object.values(EXIT))

export function isCrash(code: number | null): boolean {
  return code === null || !LAST_WORDS.has(code)
}
