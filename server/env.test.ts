import { expect, test } from "vitest"
import { readEnv } from "./env.ts"

const key = Buffer.alloc(32, 7).toString("base64")

const complete = {
  DATABASE_URL: "postgresql://u:p@127.0.0.1:5432/db",
  AGENT_OPS_LOCAL: "1",
  AGENT_OPS_HOME: "/tmp/home",
  APP_URL: "http://localhost:3000/",
  ROOMS_URL: "http://127.0.0.1:3001",
  SERVER_SIGNING_KEY: key,
  ROOMS_VERIFY_KEY: key,
  MODEL_PROVIDERS: "scripted, anthropic",
}

test("a complete environment is read, with defaults for the rest", () => {
  const env = readEnv({ ...complete, COMPATIBLE_MODELS: "" })
  expect(env).toMatchObject({
    APP_URL: "http://localhost:3000",
    ROOMS_PUBLIC_URL: "http://127.0.0.1:3001",
    MODEL_PROVIDERS: ["scripted", "anthropic"],
    COMPATIBLE_MODELS: [],
    SANDBOX_PROVIDER: "local",
  })
})

test("every problem is listed at once, by variable, and no value is repeated", () => {
  const broken = { DATABASE_URL: "mysql://secret", SERVER_SIGNING_KEY: "c2hvcnQ=", LOG_LEVEL: "x" }
  const problems = (() => {
    try {
      return String(readEnv(broken))
    } catch (error) {
      return String(error)
    }
  })()
  for (const name of [
    "DATABASE_URL",
    "APP_URL",
    "ROOMS_URL",
    "SERVER_SIGNING_KEY",
    "ROOMS_VERIFY_KEY",
    "LOG_LEVEL",
  ]) {
    expect(problems).toContain(`${name}:`)
  }
  expect(problems).not.toContain("secret")
  expect(problems).not.toContain("c2hvcnQ=")
})

test("stand-ins need AGENT_OPS_LOCAL=1", () => {
  expect(() => readEnv({ ...complete, AGENT_OPS_LOCAL: "0" })).toThrow(
    /SANDBOX_PROVIDER: .*AGENT_OPS_LOCAL=1[\s\S]*MODEL_PROVIDERS: .*AGENT_OPS_LOCAL=1/,
  )
})

test.each(["APP_URL", "ROOMS_URL", "ROOMS_PUBLIC_URL"])(
  "on a laptop %s is a loopback address, since its agents are not isolated",
  (name) => {
    const open = { ...complete, [name]: "https://agents.example.com" }
    expect(() => readEnv(open)).toThrow(`${name}: must be on localhost with AGENT_OPS_LOCAL=1`)
    expect(() => readEnv({ ...complete, [name]: "http://[::1]:3000" })).not.toThrow()
  },
)
