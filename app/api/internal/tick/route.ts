export { POST } from "../../../../server/http/tick.ts"
