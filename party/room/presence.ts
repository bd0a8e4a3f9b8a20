import type { Person } from "../protocol/viewer.ts"
import type { RoomState } from "./state.ts"

/** Who watches, each person once: here when any of their windows is, typing when any is. */
export function people(state: RoomState): Person[] {
  const byId = new Map<string, Person>()
  for (const connection of state.connections.values()) {
    if (connection.role !== "viewer" || connection.feed.state === "waiting") continue
    const { subject: id, name, presence } = connection
    const other = byId.get(id)
    byId.set(id, {
      id,
      name,
      state: presence.state === "here" || other?.state === "here" ? "here" : "away",
      typing: presence.typing || other?.typing === true,
    })
  }
  return [...byId.values()]
}
