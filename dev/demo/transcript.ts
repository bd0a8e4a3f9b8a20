import type { Entry } from "#protocol/entry"
import type { SessionLog } from "#protocol/session-log"

const MAX_OUTPUT_LINES = 12

/** Prints a session's log as it grows: streamed text as it arrives, other entries when they change their state. */
export class Transcript {
  readonly #write: (text: string) => void
  readonly #printed = new Map<string, string>()
  #streaming: string | null = null

  constructor(write: (text: string) => void) {
    this.#write = write
  }

  show(log: SessionLog): void {
    for (const key of log.changed) {
      const entry = log.entries.get(key)
      if (!entry) continue
      if (entry.kind === "text" || entry.kind === "reasoning") this.#stream(key, entry)
      else this.#once(key, line(entry))
    }
  }

  end(): void {
    if (this.#streaming) this.#write("\n")
    this.#streaming = null
  }

  #stream(key: string, entry: Extract<Entry, { kind: "text" | "reasoning" }>): void {
    const shown = this.#printed.get(key) ?? ""
    if (entry.text.length <= shown.length) return
    if (this.#streaming !== key) {
      this.end()
      this.#write(entry.kind === "reasoning" ? "  … " : "  ")
      this.#streaming = key
    }
    this.#write(entry.text.slice(shown.length).replaceAll("\n", "\n  "))
    this.#printed.set(key, entry.text)
  }

  #once(key: string, text: string | null): void {
    if (text === null || this.#printed.get(key) === text) return
    this.end()
    this.#printed.set(key, text)
    this.#write(`${text}\n`)
  }
}

function line(entry: Entry): string | null {
  switch (entry.kind) {
    case "prompt":
      return entry.state === "dispatched"
        ? `> ${entry.text.split("\n")[0]}`
        : `• prompt ${entry.state}${entry.error ? `: ${entry.error.message}` : ""}`
    case "tool":
      return tool(entry)
    case "status":
      return `• ${entry.status} — ${entry.reason}`
    case "changes":
      return entry.files
        .map((file) => `± ${file.path} +${file.additions} −${file.deletions}`)
        .join("\n")
    case "error":
      return `✗ ${entry.message}`
    default:
      return null
  }
}

function tool({ name, title, state, output }: Extract<Entry, { kind: "tool" }>): string | null {
  if (state === "pending" || state === "running") return null
  const lines = output.trimEnd().split("\n")
  const shown = lines.slice(0, MAX_OUTPUT_LINES).map((text) => `    ${text}`)
  const rest = lines.length - shown.length
  if (rest > 0) shown.push(`    … ${rest} more lines`)
  return [`$ ${name} ${title}${state === "error" ? " (failed)" : ""}`, ...shown].join("\n")
}
