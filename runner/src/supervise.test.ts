import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { pauseAfter, supervise } from "./supervise.ts"

let home: string
const stop = { controller: new AbortController() }

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "supervise-"))
  stop.controller = new AbortController()
})

afterEach(() => {
  stop.controller.abort()
  rmSync(home, { recursive: true, force: true })
})

/** Runs a shell script as the runner; `$0` is the test's directory. */
function supervised(script: string) {
  const cleanUp = vi.fn(async () => undefined)
  const command = ["/bin/bash", "-c", script, home] as const
  const log = vi.fn<(message: string) => void>()
  const code = supervise({ command, log, cleanUp, stop: stop.controller.signal })
  return { code, cleanUp }
}

const lines = (name: string) =>
  existsSync(join(home, name)) ? readFileSync(join(home, name), "utf8").trim().split("\n") : []

/** One that nobody has waited for yet still has its entry, as a zombie. */
const isAlive = (pid: string | undefined) =>
  existsSync(`/proc/${pid}`) && !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ")

describe("a runner", () => {
  test.each([0, 2, 3])("that ends with %i is not started again", async (code) => {
    const run = supervised(`echo x >> $0/runs; exit ${code}`)

    expect(await run.code).toBe(code)
    expect(lines("runs")).toHaveLength(1)
  })

  test("that crashes is started again, after what it left was removed", async () => {
    const run = supervised("echo x >> $0/runs; test $(wc -l < $0/runs) = 3 && exit 0; kill -9 $$")

    expect(await run.code).toBe(0)
    expect(lines("runs")).toHaveLength(3)
    expect(run.cleanUp).toHaveBeenCalledTimes(3)
  })

  test("that crashes takes its group along", async () => {
    const run = supervised("sleep 300 & echo $! >> $0/child; exit 0")

    await run.code

    await vi.waitFor(() => expect(isAlive(lines("child")[0])).toBe(false))
  })

  test("gets the stop and may end in order", async () => {
    const run = supervised(
      "trap 'echo bye > $0/bye; exit 7' TERM; echo > $0/up; while :; do sleep 0.05; done",
    )
    await vi.waitFor(() => expect(lines("up")).toHaveLength(1), { timeout: 5_000 })

    stop.controller.abort()

    expect(await run.code).toBe(0)
    expect(lines("bye")).toEqual(["bye"])
  })
})

test("the fifth crash within a minute is one too many", () => {
  expect([1, 2, 3, 4, 5].map(pauseAfter)).toEqual([200, 400, 800, 1_600, null])
})
