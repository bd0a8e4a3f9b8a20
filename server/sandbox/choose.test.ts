import { expect, test } from "vitest"
import { chooseProvider } from "./choose.ts"

const choice = {
  SANDBOX_PROVIDER: "local",
  AGENT_OPS_LOCAL: true,
  AGENT_OPS_HOME: "/tmp/a-home",
  OPENCODE_BIN: undefined,
} as const

test("the named provider is chosen", () => {
  expect(chooseProvider(choice).name).toBe("local")
  expect(chooseProvider({ ...choice, SANDBOX_PROVIDER: "in-memory" }).name).toBe("in-memory")
})

test("stand-ins are refused outside a local stack", () => {
  expect(() => chooseProvider({ ...choice, AGENT_OPS_LOCAL: false })).toThrow("AGENT_OPS_LOCAL=1")
})

test("a local provider needs a home", () => {
  expect(() => chooseProvider({ ...choice, AGENT_OPS_HOME: undefined })).toThrow("AGENT_OPS_HOME")
})
