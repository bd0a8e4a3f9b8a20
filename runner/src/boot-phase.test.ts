import { describe, expect, test, vi } from "vitest"
import type { RunnerReport } from "#protocol/work"
import { type PhaseProgress, runPhase } from "./boot-phase.ts"
import { Failed } from "./failed.ts"

function phase<Result>(work: (progress: PhaseProgress) => Promise<Result>, deadlineMs = 5_000) {
  const report = vi.fn<(report: RunnerReport) => void>()
  const stop = new AbortController()
  const options = {
    phase: "clone" as const,
    what: "Cloning https://x/y",
    ...{ generation: 2, deadlineMs, report, stop: stop.signal },
  }
  const result = runPhase(options, work)
  const reported = () => report.mock.calls.map(([told]) => told)
  return { result, reported, stop }
}

const common = {
  type: "boot.phase",
  generation: 2,
  phase: "clone",
  durationMs: expect.any(Number),
  error: null,
}

describe("a phase", () => {
  test("tells that it began, what it does and that it is done", async () => {
    const { result, reported } = phase(async ({ detail }) => {
      detail("Receiving objects 10 %")
      return "checkout"
    })

    expect(await result).toBe("checkout")
    expect(reported()).toEqual([
      { ...common, state: "running", detail: "" },
      { ...common, state: "running", detail: "Receiving objects 10 %" },
      { ...common, state: "done", detail: "" },
    ])
  })

  test("that is done keeps its remark, not how far it had come", async () => {
    const { result, reported } = phase(async ({ detail, remark }) => {
      detail("Counting objects 66 %")
      remark("left out")
    })

    await result
    expect(reported().at(-1)).toEqual({ ...common, state: "done", detail: "left out" })
  })

  test("that failed tells why, and how far it had come", async () => {
    const { result, reported } = phase(async ({ detail }) => {
      detail("Counting objects 66 %")
      throw new Failed("branch-not-found", "No such branch.")
    })

    await expect(result).rejects.toThrow("No such branch.")
    expect(reported().at(-1)).toEqual({
      ...common,
      state: "failed",
      detail: "Counting objects 66 %",
      error: { reason: "branch-not-found", message: "No such branch." },
    })
  })

  test("ends at its deadline, whether or not the work heeds it, and says nothing more", async () => {
    let say: ((text: string) => void) | undefined
    let aborted = false
    const { result, reported } = phase(({ signal, detail }) => {
      say = detail
      signal.addEventListener("abort", () => {
        aborted = true
      })
      return new Promise(() => undefined)
    }, 20)

    await expect(result).rejects.toMatchObject({
      reason: "clone-too-slow",
      message: expect.stringMatching(/^Cloning https:\/\/x\/y took longer than /),
    })
    say?.("still here")

    expect(aborted).toBe(true)
    expect(reported().at(-1)).toMatchObject({
      state: "failed",
      error: { reason: "clone-too-slow" },
    })
  })

  test("that is stopped ends at once and reports no failure", async () => {
    const { result, reported, stop } = phase(() => new Promise(() => undefined))

    stop.abort(new Error("stopped"))

    await expect(result).rejects.toThrow("stopped")
    expect(reported().map((told) => "state" in told && told.state)).toEqual(["running"])
  })
})
