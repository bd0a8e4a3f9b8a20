import { afterAll, beforeAll } from "vitest"
import { FaultSession } from "./fault-session.ts"
import { FaultStack } from "./fault-stack.ts"
import { SessionPool } from "./session-pool.ts"

/** One stack for all tests of a file, and sessions of it that they borrow. Read `stack` inside a test. */
export function stackWithPool() {
  let stack: FaultStack
  const sessions = new SessionPool(() => stack)

  beforeAll(async () => {
    stack = await FaultStack.start()
  })

  afterAll(async () => {
    sessions.close()
    await stack?.stop()
  })

  return {
    sessions,
    get stack() {
      return stack
    },
  }
}

/** One stack for all tests of a file, with one session that waits for a prompt. Read both inside a test. */
export function stackWithSession() {
  let stack: FaultStack
  let session: FaultSession

  beforeAll(async () => {
    stack = await FaultStack.start()
    session = await FaultSession.ready(stack)
  })

  afterAll(async () => {
    session?.close()
    await stack?.stop()
  })

  return {
    get stack() {
      return stack
    },
    get session() {
      return session
    },
  }
}
