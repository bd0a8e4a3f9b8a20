export { type Connection, connectionSchema, issueTicket } from "./issue-ticket.ts"
