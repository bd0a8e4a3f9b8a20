/** Most characters of a prompt's text; a longer one is refused at the edge. */
export const MAX_PROMPT_CHARS = 256 * 1024

/** Most bytes of one tool's output that an entry keeps; the rest is cut and `truncated` says so. */
export const MAX_TOOL_OUTPUT_BYTES = 256 * 1024

/** Most tokens of one kind that a model call is believed to have used: PostgreSQL's largest integer. */
export const MAX_CALL_TOKENS = 2_147_483_647

/** Most characters of one message between runner, room and server: a flush or batch splits there. */
export const MAX_MESSAGE_CHARS = 1024 * 1024

/** Most characters of one message that a room takes from a runner: a batch splits at the limit, but one item may be larger. */
export const MAX_RUNNER_MESSAGE_CHARS = 4 * MAX_MESSAGE_CHARS

/** Most characters of one message that a room takes from a viewer. */
export const MAX_VIEWER_MESSAGE_CHARS = 8 * 1024

/** Most messages a second that a room takes from a viewer, once its burst is used up. */
export const VIEWER_MESSAGES_PER_SECOND = 200

/** Most messages that a room takes from a viewer in one burst, such as the acknowledgements of replayed pages. */
export const VIEWER_MESSAGES_AT_ONCE = 1_000

/** Most characters of one frame to a viewer. */
export const MAX_FRAME_CHARS = 256 * 1024

/** Characters that may be under way to one viewer before the room stops sending and replays later. */
export const MAX_VIEWER_UNSEEN_CHARS = 2 * 1024 * 1024

/** How often a viewer tells the room what it has received, at most. */
export const SEEN_INTERVAL_MS = 1_000

/** A viewer also reports as soon as this much has arrived since its last `seen`. */
export const SEEN_EVERY_CHARS = 64 * 1024

/** How often runners and viewers send the liveness text `ping`; the platform answers `pong`. */
export const PING_INTERVAL_MS = 5_000

/** Silence after which a runner with a live attempt counts as lost: two missed pings and a margin. */
export const RUNNER_SILENCE_MS = 8_000

/** Life of a ticket; it is also single-use. */
export const TICKET_TTL_SECONDS = 60

/** How long a viewer's socket lives without presenting a fresh ticket. */
export const LEASE_SECONDS = 15 * 60

/** How often a viewer presents a fresh ticket. */
export const LEASE_RENEWAL_MS = 10 * 60 * 1_000

/** The shortest time between two flushes of a room. */
export const FLUSH_INTERVAL_MS = 16
