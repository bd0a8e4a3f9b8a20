import { appendFileSync } from "node:fs"
import { setTimeout as delay } from "node:timers/promises"
import { withNamedLock } from "../../named-lock.ts"

const [name = "", file = "", holdMs = "0"] = process.argv.slice(2)
const late = () => new Error("The lock was not free in time.")
await withNamedLock(name, { deadlineMs: 60_000, late }, async () => {
  appendFileSync(file, `in ${process.pid}\n`)
  console.log("holds")
  await delay(Number(holdMs))
  appendFileSync(file, `out ${process.pid}\n`)
})
