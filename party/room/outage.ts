import type { Outage } from "../protocol/viewer.ts"
import { broadcastNews } from "./send.ts"
import type { RoomState } from "./state.ts"
import { instant, type Step } from "./step.ts"

/** Tells viewers once that posts to the server fail, since when and why, and once that they no longer do (D15). */
export function tellOutage(step: Step): void {
  const { state } = step
  const reason = state.ingest.failure ?? state.claim.failure
  if ((reason === null) === (state.outage === null)) return
  state.outage = reason === null ? null : { startedAt: instant(step), reason }
  broadcastNews(step, outageNews(state))
}

export const outageNews = ({ outage }: RoomState): { type: "outage"; outage: Outage | null } => ({
  type: "outage",
  outage,
})
