import { expect, test } from "vitest"
import { deadlineFailure, errorFailure, retryFailure } from "./failures.ts"

const api = (statusCode: number | undefined, message = "No way.") => ({
  name: "APIError",
  data: { message, statusCode },
})

test.each([
  [401, "model-refused"],
  [403, "model-refused"],
  [400, "model-refused"],
  [429, "model-rate-limited"],
  [500, "model-unavailable"],
  [529, "model-unavailable"],
  [undefined, "model-unavailable"],
])("an answer %s is %s, with the model, what it said and what to do", (status, reason) => {
  const failure = errorFailure(api(status), "demo/chat")
  expect(failure.reason).toBe(reason)
  expect(failure.message).toMatch(/^demo\/chat .*: No way; .*\.$/)
})

test.each([
  ["Rate limit reached for requests", false, "model-rate-limited"],
  ["HTTP 429", true, "model-rate-limited"],
  ["Overloaded", false, "model-unavailable"],
  ["Connection reset by server", true, "model-broke-off"],
])("retries because of %j end as the right reason", (message, wrote, reason) => {
  expect(retryFailure(message, "demo/chat", wrote).reason).toBe(reason)
})

test("other errors keep their own names", () => {
  const reasonOf = (name: string) => errorFailure({ name, data: {} }, "demo/chat").reason
  expect(reasonOf("ProviderAuthError")).toBe("model-refused")
  expect(reasonOf("ContextOverflowError")).toBe("context-full")
  expect(reasonOf("MessageOutputLengthError")).toBe("answer-too-long")
  expect(reasonOf("UnknownError")).toBe("agent-failed")
})

test("an agent that does not exist is named, with those that do, and no model is blamed", () => {
  const message = 'Agent not found: "nobody". Available agents: build, explore, general, plan'
  expect(errorFailure({ name: "UnknownError", data: { message } }, "demo/chat")).toEqual({
    reason: "agent-unknown",
    message:
      "This sandbox has no agent “nobody”. Send the prompt again with one of those that it has: build, explore, general, plan.",
  })
})

test("a deadline is named with its length", () => {
  const deadlines = { acceptMs: 1, startMs: 100, silenceMs: 1_500, turnMs: 10_000 }
  expect(deadlineFailure("model-silent", deadlines, "demo/chat").message).toContain("1.5 s")
})

test("what was said is storable and short", () => {
  const { message } = errorFailure(api(401, `\u0000${"x".repeat(10_000)}`), "demo/chat")
  expect(message).toContain("\u2400")
  expect(message.length).toBeLessThan(700)
})
