export { GET, POST } from "../../../../server/http/trpc.ts"
