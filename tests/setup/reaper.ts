import { createInterface } from "node:readline"
import { setTimeout as delay } from "node:timers/promises"
import { signal } from "../../dev/stack/leftovers.ts"
import { killLeftOver } from "../../runner/src/agent/left-over.ts"
import { markFile } from "../../runner/src/agent/process.ts"

const GRACE_MS = 10_000
const POLL_MS = 50

/** Ends the process groups and the agents that it was told of once its standard input ends, as it does when whoever tells is gone. */
const groups = new Set<number>()
const scratches: string[] = []
for await (const line of createInterface({ input: process.stdin })) {
  const [change, ...words] = line.split(" ")
  const what = words.join(" ")
  if (change === "begins") groups.add(Number(what))
  if (change === "ended") groups.delete(Number(what))
  if (change === "agent") scratches.push(what)
}
const living = () => [...groups].filter((group) => signal(-group, 0))
for (const group of living()) signal(-group, "SIGTERM")
const giveUpAt = performance.now() + GRACE_MS
while (living().length > 0 && performance.now() < giveUpAt) await delay(POLL_MS)
for (const group of living()) signal(-group, "SIGKILL")
for (const scratch of scratches) await killLeftOver(markFile(scratch), () => undefined)
