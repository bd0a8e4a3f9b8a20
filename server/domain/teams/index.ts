export { connectTeam } from "./connect-team.ts"
