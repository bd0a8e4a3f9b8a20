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
