import { beforeEach } from "vitest"
import { FaultStack } from "./fault-stack.ts"

/** A test that fails says how to try its seed again, and its stack's logs outlive it. */
beforeEach(({ task, onTestFailed }) => {
  onTestFailed(() => {
    const [, seeds] = /\(seeds? ([\d,[\] ]+)\)/.exec(task.name) ?? []
    const again = seeds ? `FAULT_SEED=${seeds.replace(/[^\d,]/g, "")} ` : ""
    console.error(`Try it again: ${again}npm run test:faults -- ${task.file.name}`)
    for (const logs of FaultStack.keepLogs()) console.error(`Logs of its stack: ${logs}`)
  })
})
