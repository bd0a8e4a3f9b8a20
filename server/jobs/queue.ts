import * as z from "zod"
import { sql } from "../db.ts"

const session = z.object({ sessionId: z.string() })
const sandbox = z.object({ sessionId: z.string(), generation: z.int().positive() })

/** Every job and what it is told. Each handler is idempotent: a job may run twice, late, or after it became pointless. */
export const jobPayloads = {
  "start-sandbox": sandbox,
  "sandbox-deadline": sandbox,
  /** `isGone`: the machine was already found gone. */
  "check-sandbox": sandbox.extend({ isGone: z.boolean().optional() }),
  "stop-sandbox": sandbox,
  /** Tells the room of a claim it has not taken, or that there may be something to claim. */
  deliver: session,
  "stop-attempt": z.object({ promptId: z.string(), number: z.int().positive() }),
  "end-session": session,
  /** One per granted room; `sessionId` null means the team's bus. */
  revoke: z.object({
    sessionId: z.string().nullable(),
    teamId: z.string(),
    subject: z.string().nullable(),
    grantId: z.string().nullable(),
  }),
  "announce-status": session,
  "sweep-sandboxes": z.object({}),
} as const

export type JobName = keyof typeof jobPayloads
export type JobPayload<Name extends JobName> = z.infer<(typeof jobPayloads)[Name]>

export type JobOptions = {
  /** A waiting job of the same key is replaced by this one; a running one is followed by it. */
  jobKey?: string
  runAt?: Date
  maxAttempts?: number
}

/** The raw-query half of a Prisma client or transaction. */
type Queries = {
  $executeRaw(query: TemplateStringsArray, ...values: unknown[]): PromiseLike<number>
}

/** Adds a job in the caller's transaction: it exists exactly if the transaction commits. */
export async function addJob<Name extends JobName>(
  tx: Queries,
  name: Name,
  payload: JobPayload<Name>,
  options: JobOptions = {},
): Promise<void> {
  await tx.$executeRaw`select ${jobSql(name, payload, options)}`
}

/** The call that adds a job, for a statement that does something else as well. */
export function jobSql<Name extends JobName>(
  name: Name,
  payload: JobPayload<Name>,
  { jobKey, runAt, maxAttempts }: JobOptions,
) {
  const json = JSON.stringify(jobPayloads[name].parse(payload))
  return sql`graphile_worker.add_job(
    ${name}::text,
    payload := ${json}::json,
    run_at := ${runAt ?? null}::timestamptz,
    max_attempts := ${maxAttempts ?? null}::integer,
    job_key := ${jobKey ?? null}::text
  )`
}
