import { expect, test } from "vitest"
import { ScriptedAgent } from "../testing/scripted-agent.ts"
import { endWork } from "./end-work.ts"

const quiet = () => undefined

test("[D12] it waits until every session is idle", async () => {
  const agent = new ScriptedAgent()
  agent.status = "busy"
  agent.onAbort = () => setTimeout(() => agent.fallIdle(), 80)
  await endWork(agent, ["ses_1", "ses_2"], 5_000, quiet)
  expect(agent.status).toBe("idle")
  expect(agent.asked).toEqual(["abort", "abort"])
})

test("[D12] an agent that stays busy is killed after the deadline", async () => {
  const agent = new ScriptedAgent()
  agent.status = "busy"
  agent.onAbort = () => undefined
  await endWork(agent, ["ses_1"], 100, quiet)
  expect(agent.asked).toEqual(["abort", "restart"])
})

test("[D12] an agent that does not even answer is killed after the deadline", async () => {
  const agent = new ScriptedAgent()
  agent.calls.abort = () => new Promise(() => undefined)
  await endWork(agent, ["ses_1"], 100, quiet)
  expect(agent.asked).toEqual(["restart"])
})
