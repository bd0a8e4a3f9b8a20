import { failUnreadySandbox } from "../../domain/sandboxes/fail-unready-sandbox.ts"
import type { JobHandler } from "../context.ts"

/** Runs when the sandbox should long have been ready. */
export const sandboxDeadline: JobHandler<"sandbox-deadline"> = (ctx, ref) =>
  failUnreadySandbox(ctx, ref)
