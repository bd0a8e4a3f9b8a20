export { authenticateApiKey } from "./authenticate-api-key.ts"
export { mintApiKey } from "./mint-api-key.ts"
