import { lockHome } from "../lock-home.ts"

/** A starter as a process of its own: says whether it got the home, and holds it until its standard input ends. */
const [home = ""] = process.argv.slice(2)
try {
  await lockHome(home)
  console.log("holds")
} catch (error) {
  console.log(error instanceof Error ? error.message : error)
}
process.stdin.resume()
