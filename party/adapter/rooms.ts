import type { RoomsEnv } from "../env.ts"

export type Party = { name: "session" | "bus"; id: string }

/** The one room of that name. Rooms come to be by being addressed, so only verified requests get here. */
export function roomOf(env: RoomsEnv, { name, id }: Party): DurableObjectStub {
  const namespace = name === "session" ? env.Session : env.Bus
  return namespace.get(namespace.idFromName(id))
}
