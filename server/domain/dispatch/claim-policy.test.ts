import { expect, test } from "vitest"
import { claimPolicy } from "./claim-next.ts"

const session = { endedAt: null, generation: 2 }

const liveOf = (generation: number) => ({
  ...{ promptId: "prm_1", number: 1, generation },
  ...{ steer: false, hostPromptId: null, hostNumber: null },
})

test("[D2] while an attempt is live its own claim is answered, never a second one", () => {
  expect(claimPolicy(session, { ready: true, live: liveOf(2) })).toBe("repeat")
})

test("[D10] an attempt of an older sandbox holds the queue until its end is known", () => {
  expect(claimPolicy(session, { ready: true, live: liveOf(1) })).toBe("none")
})

test("[D3] only a ready sandbox of a session that goes on gets the next prompt", () => {
  expect(claimPolicy(session, { ready: true, live: null })).toBe("next")
  expect(claimPolicy(session, { ready: false, live: null })).toBe("none")
  const ended = { ...session, endedAt: new Date(0) }
  expect(claimPolicy(ended, { ready: true, live: null })).toBe("none")
})
