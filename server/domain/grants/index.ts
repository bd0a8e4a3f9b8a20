export { forgetGrants } from "./forget-grants.ts"
export { type Connection, connectionSchema, issueTicket } from "./issue-ticket.ts"
