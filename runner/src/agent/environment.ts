import { join } from "node:path"

/** Names the OpenCode process tree; every process that it starts inherits it. */
export const markVariable = "AGENT_OPS_AGENT_MARK"

/** OpenCode's directories below a home. */
export const configDirectory = (home: string) => join(home, ".config", "opencode")

export type EnvironmentOptions = {
  /** What the agent's tools may see: PATH, locale, proxies. Never the runner's own tokens. */
  base: Record<string, string>
  home: string
  password: string
  mark: string
  config: object
}

/** The whole environment of the OpenCode process, and thereby of every command that the agent runs. */
export function agentEnvironment(options: EnvironmentOptions): Record<string, string> {
  const { base, home, password, mark, config } = options
  return {
    ...base,
    HOME: home,
    XDG_CONFIG_HOME: join(home, ".config"),
    XDG_DATA_HOME: join(home, ".local", "share"),
    XDG_STATE_HOME: join(home, ".local", "state"),
    XDG_CACHE_HOME: join(home, ".cache"),
    [markVariable]: mark,
    OPENCODE_SERVER_PASSWORD: password,
    OPENCODE_CONFIG_CONTENT: JSON.stringify(config),
    OPENCODE_DISABLE_MODELS_FETCH: "1",
    OPENCODE_DISABLE_AUTOUPDATE: "1",
    OPENCODE_DISABLE_SHARE: "1",
    OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
    // A repository's own settings and plugins stay out, except the modules below `.opencode/plugin`, which OpenCode
    // 1.18.33 imports whatever it is told. They find no more here than the agent's commands do.
    OPENCODE_DISABLE_PROJECT_CONFIG: "1",
    OPENCODE_PURE: "1",
    OPENCODE_DISABLE_EMBEDDED_WEB_UI: "1",
  }
}
