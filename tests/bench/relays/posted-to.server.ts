import type { TestKeys } from "../../integration/start-rooms.ts"
import { StubServer } from "../../integration/stub-server.ts"

/** `node posted-to.server.ts <keys>` takes what rooms post and says where it listens. */
const keys: TestKeys = JSON.parse(process.argv[2] ?? "")
const { url } = await StubServer.start(keys)
console.log(JSON.stringify({ url }))
