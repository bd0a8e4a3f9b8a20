/** A live relay under measurement: one producer, some viewers, every event stored. */
export type Relay = {
  name: string
  /** The producer puts several events into one message. */
  batches: boolean
  open: (viewers: number) => Promise<OpenRelay>
  close: () => Promise<void>
}

export type OpenRelay = {
  /** Sends some events at once; each is a text that begins with its number and a colon. */
  send: (events: string[]) => void
  /** Characters that all viewers have received so far. */
  received: () => number
  close: () => void
}

/** Called for each event that reaches a viewer. */
export type Arrival = (viewer: number, event: number) => void

export function eventNumber(event: string): number {
  return Number.parseInt(event, 10)
}

const AFTER_NUMBER = `:${"x".repeat(16)}`

/** An event's text: its number, a colon, and as many x as it takes. */
export const eventTextOf = (number: number, chars: number) => `${number}:`.padEnd(chars, "x")

/**
 * Calls `take` with the number of each event in a frame. Frames are searched, not parsed: all viewers share one thread
 * here, and what a hundred browsers would parse on machines of their own is not the relay's time.
 */
export function eachEvent(frame: string, take: (event: number) => void): void {
  let at = frame.indexOf(AFTER_NUMBER)
  while (at >= 0) {
    take(Number(frame.slice(frame.lastIndexOf('"', at) + 1, at)))
    at = frame.indexOf(AFTER_NUMBER, at + AFTER_NUMBER.length)
  }
}
