import type { Author } from "#protocol/entry"
import { promptIdSchema } from "#protocol/ids"
import { DEV, DEV_TEAM, GRACE, OTHER_TEAM } from "./people.ts"
import { SessionDraft } from "./session-draft.ts"

const MINUTE_MS = 60_000
const LONG_ENTRIES = 10_000
const LONG_TURNS = 250

/** One session in each status, a long one, and one of the other team; newest first. */
export function seedSessions(nowMs: number): SessionDraft[] {
  const dev = (name: string, title: string, minutesAgo: number) =>
    draft(DEV_TEAM.id, DEV, name, title, nowMs - minutesAgo * MINUTE_MS)
  return [
    queued(dev("seedqueued", "Add a dry run to the importer", 2)),
    booting(dev("seedbooting", "Find the slow query of the settings page", 4)),
    working(dev("seedworking", "Fix the rounding of invoices", 11)),
    waiting(dev("seedwaiting", "Update the vulnerable dependencies", 25)),
    idle(dev("seedidle", "Write tests for parseAddress", 40)),
    waking(dev("seedwaking", "Squash the migrations", 70)),
    failed(dev("seedfailed", "Explain the retry queue", 90)),
    sleeping(dev("seedsleeping", "Rename getUserData", 200)),
    ended(dev("seedended", "Make CI green again", 24 * 60)),
    long(dev("seedlong", "Move the shop to the new checkout", 3 * 24 * 60)),
    sleeping(draft(OTHER_TEAM.id, GRACE, "seedother", "Rotate the keys", nowMs - 300 * MINUTE_MS)),
  ]
}

function draft(
  teamId: string,
  { id, name: person }: Author,
  name: string,
  title: string,
  startMs: number,
) {
  return new SessionDraft({ name, teamId, title, author: { id, name: person }, startMs })
}

function queued(session: SessionDraft): SessionDraft {
  session.asks()
  session.log.status("queued", "Waits for its first sandbox.")
  return session
}

function booting(session: SessionDraft): SessionDraft {
  queued(session).boots("clone", "booting", "Clones the repository.")
  return session
}

/** The sandbox came up for the first time. */
function up(session: SessionDraft): SessionDraft {
  session.log.status("queued", "Waits for its turn to start a sandbox.")
  session.boots("clone", "booting", "Clones the repository.")
  session.ready()
  return session
}

function idle(session: SessionDraft): SessionDraft {
  up(session).turn(24)
  session.turn(48)
  return session
}

function working(session: SessionDraft): SessionDraft {
  up(session).turn(24)
  session.worksOn()
  return session
}

function waiting(session: SessionDraft): SessionDraft {
  const { promptId } = up(session).worksOn()
  session.log.append({
    kind: "gate",
    key: "gate:seed",
    turnId: promptIdSchema.parse(promptId),
    gateId: "gate_seed",
    question: {
      text: "`left-pad` has no fixed version. What shall I do?",
      options: ["Replace it", "Leave it and note the risk"],
    },
  })
  session.log.status("waiting", "Waits for an answer: what to do about `left-pad`.")
  return session
}

function sleeping(session: SessionDraft): SessionDraft {
  up(session).turn(24)
  session.stops()
  session.log.status("sleeping", "The sandbox sleeps; the next prompt wakes it.")
  return session
}

function waking(session: SessionDraft): SessionDraft {
  sleeping(session).log.pass(600)
  session.asks()
  session.boots("machine", "waking", "Starts the sandbox's machine.")
  return session
}

function failed(session: SessionDraft): SessionDraft {
  const message = "The repository could not be cloned: it asks for a sign-in."
  booting(session).stops({ reason: "clone-failed", message }, "clone")
  session.log.status("failed", `${message} Wake the session or send a prompt to retry.`)
  return session
}

function ended(session: SessionDraft): SessionDraft {
  idle(session).stops()
  session.ends()
  session.log.status("ended", "The session was ended; its history stays.")
  return session
}

/** As many entries as the longest sessions of a month's work. */
function long(session: SessionDraft): SessionDraft {
  up(session)
  for (let turn = 1; turn < LONG_TURNS; turn++) session.turn((LONG_ENTRIES / LONG_TURNS) * turn)
  session.turn(LONG_ENTRIES - 1)
  session.stops()
  session.log.status("sleeping", "The sandbox sleeps; the next prompt wakes it.")
  return session
}
