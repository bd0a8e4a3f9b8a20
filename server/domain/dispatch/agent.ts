import * as z from "zod"

/** Name of one of OpenCode's agents; whether it exists, OpenCode says. */
export const agentSchema = z
  .string()
  .regex(
    /^[A-Za-z0-9_-]{1,64}$/,
    "must be an agent's name, such as build or plan, of at most 64 letters, digits, - and _; leave it out for the default",
  )
