import { expect, test } from "vitest"
import { claimPolicy } from "./claim-next.ts"

const session = { endedAt: null, generation: 2 }

test("[D2] while an attempt is live its own claim is answered, never a second one", () => {
  expect(claimPolicy({ session, sandboxReady: true, live: { generation: 2 } })).toBe("repeat")
})

test("[D10] an attempt of an older sandbox holds the queue until its end is known", () => {
  expect(claimPolicy({ session, sandboxReady: true, live: { generation: 1 } })).toBe("none")
})

test("[D3] only a ready sandbox of a session that goes on gets the next prompt", () => {
  expect(claimPolicy({ session, sandboxReady: true, live: null })).toBe("next")
  expect(claimPolicy({ session, sandboxReady: false, live: null })).toBe("none")
  const ended = { ...session, endedAt: new Date(0) }
  expect(claimPolicy({ session: ended, sandboxReady: true, live: null })).toBe("none")
})
