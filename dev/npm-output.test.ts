import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { expect, test } from "vitest"

/** Programs read what `npm run stack` prints, so npm itself must add nothing. */
test("`npm run` prints what the script prints, and nothing of its own", () => {
  const said = execFileSync("npm", ["run", "keys"], {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    env: { PATH: process.env.PATH, HOME: process.env.HOME, NODE_ENV: "test" },
    encoding: "utf8",
  })
  expect(said).toMatch(/^([A-Z_]+=\S+\n)+$/)
})
