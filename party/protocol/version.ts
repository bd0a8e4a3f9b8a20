/** Version of every message in this folder. Travels in each hello and in the first frame of each socket. */
export const PROTOCOL_VERSION = 1

/** The WebSocket subprotocol that viewers and runners offer and the rooms accept. */
export const SUBPROTOCOL = `agent-ops.v${PROTOCOL_VERSION}`
