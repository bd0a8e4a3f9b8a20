import { describe, expect, test, vi } from "vitest"
import { promptIdSchema } from "#protocol/ids"
import { Failed } from "./failed.ts"
import { Orders } from "./orders.ts"
import type { PromptLoop } from "./prompt/ports.ts"
import type { OpenWorkspace } from "./workspace/workspace.ts"

const attempt = { promptId: promptIdSchema.parse("p"), attempt: 1 }

function desk(workspace: Partial<OpenWorkspace> = {}) {
  const done: string[] = []
  const note = (name: string) => () => void done.push(name)
  const loop: PromptLoop = {
    run: note("run"),
    stop: note("stop"),
    fail: note("fail"),
    report: note("report"),
    resend: note("resend"),
    recover: async () => undefined,
    current: () => null,
    close: async () => undefined,
  }
  const answer = vi.fn<(id: string, result: unknown) => void>()
  const orders = new Orders(answer)
  const serve = () =>
    orders.serve({
      loop,
      workspace: {
        directory: "/w",
        changes: async () => ({ base: "b", files: [], truncated: false }),
        file: async () => {
          throw new Failed("file-not-found", "No.")
        },
        ...workspace,
      },
    })
  return { orders, serve, done, answer }
}

describe("orders of the room", () => {
  test("wait for the boot and keep their order", () => {
    const { orders, serve, done } = desk()
    orders.take({ type: "report", ...attempt })
    orders.take({ type: "stop", ...attempt })
    expect(done).toEqual([])

    serve()
    orders.take({ type: "resend", keys: [] })

    expect(done).toEqual(["report", "stop", "resend"])
  })

  test("are no longer obeyed once the runner ends", () => {
    const { orders, serve, done } = desk()
    serve()

    orders.close()
    orders.take({ type: "stop", ...attempt })

    expect(done).toEqual([])
  })
})

describe("a question of the room", () => {
  test("is refused while the sandbox boots", async () => {
    const { orders, answer } = desk()

    orders.take({ type: "ask", id: "1", ask: { name: "diff" } })

    await vi.waitFor(() => expect(answer).toHaveBeenCalledOnce())
    expect(answer.mock.calls[0]).toMatchObject([
      "1",
      { ok: false, error: { reason: "sandbox-not-ready" } },
    ])
  })

  test("is answered with what it asked for, or why not", async () => {
    const { orders, serve, answer } = desk()
    serve()

    orders.take({ type: "ask", id: "1", ask: { name: "diff" } })
    orders.take({ type: "ask", id: "2", ask: { name: "file", path: "x" } })

    await vi.waitFor(() => expect(answer).toHaveBeenCalledTimes(2))
    expect(new Map(answer.mock.calls)).toEqual(
      new Map<string, unknown>([
        ["1", { ok: true, value: { base: "b", files: [], truncated: false } }],
        ["2", { ok: false, error: { reason: "file-not-found", message: "No." } }],
      ]),
    )
  })
})
