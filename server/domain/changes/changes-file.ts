import * as z from "zod"
import { sessionIdSchema } from "#protocol/ids"
import { textSchema } from "#protocol/text"
import { findSession } from "../access/index.ts"
import type { DomainContext } from "../context.ts"
import { askSandbox } from "./ask-sandbox.ts"

const MAX_PATH_CHARS = 4_096

export const changesFileInput = z.strictObject({
  sessionId: sessionIdSchema,
  /** Relative to the repository's root. */
  path: z
    .string()
    .min(1)
    .max(MAX_PATH_CHARS)
    .refine((path) => !path.includes("\u0000") && !path.startsWith("/"), "must be a relative path")
    .refine((path) => !path.split("/").includes(".."), "must stay inside the repository"),
})

/** A file as the workspace has it now; `text` is empty for a binary one, and cut when `truncated`. */
export const workspaceFileSchema = z.object({
  path: textSchema,
  bytes: z.int().nonnegative(),
  binary: z.boolean(),
  truncated: z.boolean(),
  text: textSchema,
})

/** One file of the workspace, read from the running sandbox. */
export async function changesFile(
  ctx: DomainContext,
  { sessionId, path }: { sessionId: string; path: string },
): Promise<z.infer<typeof workspaceFileSchema>> {
  const session = await findSession(ctx, sessionId)
  const asked = await askSandbox(ctx, session, { name: "file", path }, workspaceFileSchema)
  if (asked.kind === "answered") return asked.value
  throw asked.error
}
