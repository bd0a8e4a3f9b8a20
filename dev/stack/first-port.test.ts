import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { expect, test } from "vitest"
import { firstPort } from "./first-port.ts"

test("a first port leaves room for the others; anything else is none", () => {
  expect(firstPort("3000")).toBe(3000)
  expect(firstPort("65530")).toBe(65_530)
  for (const text of ["", " ", "abc", "0", "-1", "1.5", "1e3", "65531", "99999", "3000x"]) {
    expect(firstPort(text), text).toBe(null)
  }
})

test.for(["", "abc", "70000"])("`make dev` with PORT=%s says what to set", (text) => {
  const script = fileURLToPath(new URL("../dev.ts", import.meta.url))
  const { PATH } = process.env
  const { status, stderr, stdout } = spawnSync(process.execPath, [script], {
    env: { PATH, PORT: text, NODE_ENV: "test" },
    encoding: "utf8",
  })
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" })
  expect(stderr).toBe(
    `PORT is "${text}", which is no port. Set it to the first of four free ports, for example 3000, or leave it out.\n`,
  )
})
