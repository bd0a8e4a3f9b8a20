import { expect, test } from "vitest"
import { createLog } from "./log.ts"

test("a log writes one JSON line per event, with what was bound before", () => {
  const lines: string[] = []
  const log = createLog("info", (line) => lines.push(line)).with({ session_id: "ses_1" })
  log.debug("too.small")
  log.info("session.created", { cost: 3n, text: "a\nb" })
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatch(/^\{.*\}\n$/)
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({
    level: "info",
    event: "session.created",
    session_id: "ses_1",
    cost: "3",
    text: "a\nb",
  })
})

test("an error is logged with its name, message, stack and cause", () => {
  const lines: string[] = []
  const error = new Error("outer", { cause: new TypeError("inner") })
  createLog("error", (line) => lines.push(line)).error("job.failed", { error })
  expect(JSON.parse(lines[0] ?? "").error).toMatchObject({
    name: "Error",
    message: "outer",
    stack: expect.stringContaining("log.test.ts"),
    cause: { name: "TypeError", message: "inner" },
  })
})
