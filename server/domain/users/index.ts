export { viewerMe, viewerSchema } from "./viewer-me.ts"
