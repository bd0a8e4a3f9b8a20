import type { SandboxDirectory } from "./directory.ts"
import type { Tools } from "./tools.ts"

export const MARKER_NAME = "AGENT_OPS_SANDBOX"
export const markerOf = (id: string) => `${MARKER_NAME}=${id}`

/** All that the runner is started with: nothing of this process's own environment, which holds keys. */
export function sandboxEnvironment(
  id: string,
  directory: SandboxDirectory,
  tools: Tools,
  path: string,
): Record<string, string> {
  return {
    PATH: path,
    HOME: directory.home,
    LANG: "C.UTF-8",
    TMPDIR: directory.temporary,
    AGENT_OPS_SPEC: directory.spec,
    AGENT_OPS_STATE_DIR: directory.state,
    WORKSPACE_DIR: directory.workspace,
    OPENCODE_BIN: tools.opencode,
    [MARKER_NAME]: id,
  }
}
