/** Steps that the scripted model plays; dev/model says which there are. */
export type ScriptStep = Record<string, unknown>

/** Written by every prompt when the agent begins with it: how often it was carried out. */
const NOTE = "../executions"

/** A prompt that leaves its mark each time it is carried out, then plays the steps. */
export function scripted(mark: string, steps: ScriptStep[]): string {
  const note = { command: `echo ${mark} >> ${NOTE}`, description: "Note the execution" }
  const script = [{ tool: "bash", input: note }, ...steps]
  return `${mark}\n\n\`\`\`agent-script\n${JSON.stringify(script)}\n\`\`\`\n`
}

export const isScripted = (text: string): boolean => text.includes("```agent-script")

/** What a scripted prompt notes. */
export const markOf = (text: string): string => text.split("\n", 1)[0] ?? ""

/** Text that streams for about so long, in words that tell where a piece is missing. */
export function streaming(ms: number, everyMs = 10): ScriptStep {
  return { say: "tick tock ", repeat: Math.ceil(ms / everyMs), everyMs }
}

/** A command that the agent runs for so long. */
export function command(seconds: number): ScriptStep {
  return {
    tool: "bash",
    input: {
      command: `for i in $(seq ${seconds * 5}); do echo line $i; sleep 0.2; done`,
      description: "Work for a while",
    },
  }
}

/** So many file reads in one answer of the model: that many entries at once. */
export function reads(count: number): ScriptStep {
  const read = { tool: "read", input: { filePath: "$CWD/README.md" } }
  return { parallel: Array.from({ length: count }, () => read) }
}
