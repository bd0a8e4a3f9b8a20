import { system } from "../system.ts"
import { requestContext } from "./context.ts"
import { createCallerFactory } from "./init.ts"
import { appRouter } from "./root.ts"

const createCaller = createCallerFactory(appRouter)

/** The API called from a page on the server, as the person whose request headers these are. */
export const caller = (headers: Headers) => createCaller(requestContext(system(), headers))
