import { FaultSession } from "./fault-session.ts"
import type { FaultStack } from "./fault-stack.ts"
import { Turnstile } from "./turnstile.ts"

/** So many sessions at work at once leave two cores time for all that their deadlines ask. */
export const AT_ONCE = 5
const ENDED_WITHIN_MS = 60_000

/** Sessions of one stack that wait for a prompt, for tests that meet the same fault at the same time. */
export class SessionPool {
  readonly #stack: () => FaultStack
  readonly #idle: FaultSession[] = []
  readonly #all: FaultSession[] = []
  readonly #turnstile = new Turnstile(AT_ONCE)

  constructor(stack: () => FaultStack) {
    this.#stack = stack
  }

  /** Lends a session that nobody else has, when one is free. One whose test failed is not lent again. */
  lend(use: (session: FaultSession) => Promise<void>): Promise<void> {
    return this.#turnstile.pass(async () => {
      const session = await this.#take()
      await use(session)
      this.#idle.push(session)
    })
  }

  /** Lends a session for work that fills its agent's context, which a second such prompt would have it summarize. */
  lendOnce(use: (session: FaultSession) => Promise<void>): Promise<void> {
    return this.#turnstile.pass(async () => {
      const session = await this.#begin()
      await use(session)
      await session.terminate(ENDED_WITHIN_MS)
    })
  }

  /** Lends so many at once. */
  async lendAll(count: number, use: (sessions: FaultSession[]) => Promise<void>): Promise<void> {
    const sessions = await Promise.all(Array.from({ length: count }, () => this.#take()))
    await use(sessions)
    this.#idle.push(...sessions)
  }

  close(): void {
    for (const session of this.#all) session.close()
  }

  async #take(): Promise<FaultSession> {
    return this.#idle.pop() ?? (await this.#begin())
  }

  async #begin(): Promise<FaultSession> {
    const session = await FaultSession.ready(this.#stack())
    this.#all.push(session)
    return session
  }
}
