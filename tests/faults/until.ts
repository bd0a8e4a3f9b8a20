import { setTimeout as delay } from "node:timers/promises"

/** Seldom enough that asking costs the product nothing that would show. */
const POLL_MS = 100

/** Waits until a question is answered by something truthy, which it returns; rejects at the deadline with the last error. */
export async function until<Answer>(
  what: string,
  withinMs: number,
  ask: () => Answer | Promise<Answer>,
): Promise<NonNullable<Answer>> {
  const giveUpAt = performance.now() + withinMs
  let problem: unknown
  for (;;) {
    try {
      const answer = await ask()
      if (answer) return answer
      problem = undefined
    } catch (error) {
      problem = error
    }
    if (performance.now() > giveUpAt) {
      throw new Error(`Not within ${withinMs / 1_000} s: ${what}`, { cause: problem })
    }
    await delay(POLL_MS)
  }
}
