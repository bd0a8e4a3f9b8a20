export { ingestLog } from "./ingest-log.ts"
export { sessionEvents, sessionEventsInput } from "./session-events.ts"
export { timelinePage, timelinePageInput, timelinePageSchema } from "./timeline-page.ts"
