import { expect, test } from "vitest"
import { assertFree, freePorts } from "./free-ports.ts"

test("a port that browsers refuse to open is refused at once, instead of a stack that never gets ready", async () => {
  for (const port of [4190, 6667, 10_080]) {
    await expect(assertFree(port, "web", "Choose another --port.")).rejects.toThrow(
      `Port ${port}, for web, belongs to another protocol: browsers refuse to open it. Choose another --port.`,
    )
  }
  await expect(assertFree(await freePorts(1), "web", "")).resolves.toBeUndefined()
})
