/** The change that mends the repository. */
export const FIX = {
  from: '  return title.toLowerCase().replace(" ", "-")',
  to: '  return title\n    .toLowerCase()\n    .replace(/[^a-z0-9]+/g, "-")\n    .replace(/^-|-$/g, "")',
}

/** What the scripted model plays; the agent's tools and their results are real. */
const SCRIPT = [
  { think: "The tests fail, so I read them and the code first. " },
  { say: "I'll look at the repository, then run its tests. ", repeat: 1 },
  { tool: "read", input: { filePath: "$CWD/src/slug.js" } },
  { tool: "bash", input: { command: "node --test", description: "Run the tests" } },
  { say: "Only the first space is replaced, and other characters stay. I'll mend that. " },
  {
    tool: "edit",
    input: { filePath: "$CWD/src/slug.js", oldString: FIX.from, newString: FIX.to },
  },
  { tool: "bash", input: { command: "node --test", description: "Run the tests again" } },
  { say: "All tests pass: ", repeat: 1 },
  { say: "words are joined by one dash, and nothing else reaches the URL.", repeat: 1 },
]

const ASK = "The tests of this repository fail. Find out why, fix the code, and run them again."

/** The demo's prompt. A real model gets the plain ask; the scripted one also what to play. */
export function demoPrompt(model: string): string {
  if (!model.startsWith("scripted")) return ASK
  return `${ASK}\n\n\`\`\`agent-script\n${JSON.stringify(SCRIPT, null, 1)}\n\`\`\`\n`
}
