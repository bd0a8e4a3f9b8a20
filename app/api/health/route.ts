export { GET } from "../../../server/http/health.ts"
