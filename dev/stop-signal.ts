import { livingPid } from "./process-identity.ts"
import { starters } from "./starters.ts"

const WATCH_MS = 250

/** Aborted by the first of the signals that ask a foreground program to end, or when what started it was killed. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController()
  for (const name of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(name, () => stop.abort())
  const watched = starters()
  const watch = setInterval(() => {
    if (watched.every(livingPid)) return
    clearInterval(watch)
    stop.abort()
  }, WATCH_MS)
  watch.unref()
  return stop.signal
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener("abort", () => resolve(), { once: true })
  })
}
