import type { DraftEntryOf } from "#protocol/entry"
import { PATHS } from "./prose.ts"
import type { Random } from "./random.ts"

type Call = Pick<DraftEntryOf<"tool">, "name" | "title" | "input" | "state" | "output">

/** One tool call as OpenCode's tools make them, with an output of a usual size. */
export function toolCall(random: Random): Call {
  const path = random.pick(PATHS)
  return random.pick([read, read, grep, bash, bash, edit, failing])(path, random)
}

function read(filePath: string, random: Random): Call {
  const lines = Array.from({ length: random.int(8, 40) }, (_, index) => {
    const number = String(index + 1).padStart(5, "0")
    return `${number}| ${sourceLine(index, random)}`
  })
  return {
    name: "read",
    title: filePath,
    input: { filePath },
    state: "completed",
    output: `<file>\n${lines.join("\n")}\n</file>`,
  }
}

function grep(path: string, random: Random): Call {
  const pattern = random.pick(["roundHalfEven", "getUserData", "TODO", "new Date\\("])
  const hits = Array.from(
    { length: random.int(2, 12) },
    () => `${random.pick(PATHS)}:${random.int(3, 240)}: ${sourceLine(random.int(0, 9), random)}`,
  )
  return {
    name: "grep",
    title: pattern,
    input: { pattern, path },
    state: "completed",
    output: `Found ${hits.length} matches\n${hits.join("\n")}`,
  }
}

function bash(path: string, random: Random): Call {
  const passed = random.int(180, 214)
  const cases = Array.from(
    { length: random.int(4, 18) },
    (_, index) => ` \u001b[32m✓\u001b[39m ${path} > case ${index + 1} (${random.int(1, 90)} ms)`,
  )
  return {
    name: "bash",
    title: "Runs the tests",
    input: { command: `npm test -- ${path}`, description: "Runs the tests" },
    state: "completed",
    output: `> shop@2.4.0 test\n> vitest run\n\n${cases.join("\n")}\n\n Tests  ${passed} passed (${passed})\n`,
  }
}

function edit(filePath: string, random: Random): Call {
  const oldString = sourceLine(random.int(0, 9), random)
  return {
    name: "edit",
    title: filePath,
    input: { filePath, oldString, newString: `${oldString} // rounded in total()` },
    state: "completed",
    output: "Edit applied successfully.",
  }
}

function failing(_path: string, random: Random): Call {
  const command = random.pick(["pnpm test", "docker compose up -d", "psql -c 'select 1'"])
  return {
    name: "bash",
    title: "Tries another way",
    input: { command, description: "Tries another way" },
    state: "error",
    output: `/bin/sh: 1: ${command.split(" ")[0]}: not found\nexit status 127`,
  }
}

const SOURCE = [
  'import { roundHalfEven } from "./round.ts"',
  "export type Line = { quantity: number; price: number }",
  "",
  "export function total(lines: readonly Line[]): number {",
  "  const exact = lines.reduce((sum, line) => sum + line.quantity * line.price, 0)",
  "  return roundHalfEven(exact)",
  "}",
  "/** Prices are whole cents; see docs/rounding.md. */",
  "const VAT = { DE: 0.19, CH: 0.081 } as const",
] as const

function sourceLine(index: number, random: Random): string {
  return SOURCE[index % SOURCE.length] || `const limit = ${random.int(1, 500)}`
}
