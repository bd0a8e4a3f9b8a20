import * as z from "zod"
import { startStack } from "../../dev/stack/stack.ts"

/**
 * A stack in a process of its own, so that it can be killed with all that it started. It stops when its standard input
 * ends, which it does when the test that started it is gone, however that went.
 */
const optionsSchema = z.object({
  home: z.string(),
  port: z.number(),
  databaseUrl: z.string().optional(),
  env: z.record(z.string(), z.string()),
})

const stack = await startStack({
  ...optionsSchema.parse(JSON.parse(process.argv[3] ?? "")),
  say: (line) => console.error(line),
})
console.log(JSON.stringify(stack.line))
process.stdin.resume().once("close", () => {
  stack.stop().then(
    () => process.exit(0),
    (error: unknown) => {
      console.error(error)
      process.exit(1)
    },
  )
})
