export { POST } from "../../../../server/http/rooms.ts"
