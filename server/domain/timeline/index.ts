export { ingestLog } from "./ingest-log.ts"
export { timelinePage, timelinePageInput, timelinePageSchema } from "./timeline-page.ts"
