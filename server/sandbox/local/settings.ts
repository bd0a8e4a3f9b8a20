import type { ToolOptions } from "./tools.ts"

export type LocalOptions = Partial<ToolOptions> & {
  /** `<home>/sandboxes/<sessionId>` is a session's directory. */
  home: string
  /** Null to do without the tag that finds processes which cleared everything else. */
  prlimit?: string | null
  /** How long a runner that is asked to end may take to end its children in order. */
  graceMs?: number
}

export type LocalSettings = Required<Omit<LocalOptions, "opencode">> &
  Pick<LocalOptions, "opencode">
