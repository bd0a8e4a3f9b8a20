import { buildAll } from "./stack/builds.ts"

/** Builds what a production stack runs, or says that the last build is still good. */
await buildAll({ web: true }, (line) => console.log(line))
console.log("The production build is up to date.")
