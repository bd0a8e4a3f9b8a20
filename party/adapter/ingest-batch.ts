import type { EffectOf } from "../room/effects.ts"
import type { RoomStorage } from "./room-storage.ts"

type IngestPost = Extract<EffectOf<"post">, { post: "ingest" }>

/**
 * The body of an ingest post: entries and reports after `from`, merged in order, up to about `maxChars` but at least
 * one. Stored items are JSON already and are joined as they are.
 */
export function ingestBatch(storage: RoomStorage, sessionId: string, post: IngestPost): string {
  const items: string[] = []
  let to = post.head
  let chars = 0
  let last = post.from
  for (const { seq, json } of mergedLog(storage, post.from)) {
    if (items.length > 0 && chars + json.length > post.maxChars) {
      to = last
      break
    }
    items.push(json)
    chars += json.length
    last = seq
  }
  const { epoch, generation, from } = post
  const envelope = JSON.stringify({ post: "ingest", sessionId, epoch, generation, from, to })
  return `${envelope.slice(0, -1)},"items":[${items.join(",")}]}`
}

function* mergedLog(storage: RoomStorage, from: number) {
  const entries = storage.entriesAfter(from)[Symbol.iterator]()
  const reports = storage.reportsAfter(from)[Symbol.iterator]()
  let entry = entries.next()
  let report = reports.next()
  while (!entry.done || !report.done) {
    if (!entry.done && (report.done || entry.value.seq < report.value.seq)) {
      yield { seq: entry.value.seq, json: `{"seq":${entry.value.seq},"entry":${entry.value.body}}` }
      entry = entries.next()
    } else if (!report.done) {
      yield {
        seq: report.value.seq,
        json: `{"seq":${report.value.seq},"report":${report.value.body}}`,
      }
      report = reports.next()
    }
  }
}
