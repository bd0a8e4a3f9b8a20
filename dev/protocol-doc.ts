import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type * as z from "zod"
import * as call from "../party/protocol/call.ts"
import * as cursor from "../party/protocol/cursor.ts"
import * as entry from "../party/protocol/entry.ts"
import * as ids from "../party/protocol/ids.ts"
import * as runner from "../party/protocol/runner.ts"
import * as text from "../party/protocol/text.ts"
import * as token from "../party/protocol/token.ts"
import * as viewer from "../party/protocol/viewer.ts"
import * as work from "../party/protocol/work.ts"
import { closeCodes, limitConstants, messageComments } from "./protocol-doc/comments.ts"
import { alternativesOf, type Named } from "./protocol-doc/shape.ts"

const DOCUMENT = fileURLToPath(new URL("../docs/protocol.md", import.meta.url))

const names: Named = {
  Ask: runner.askSchema,
  AttemptRef: work.attemptRefSchema,
  Author: entry.authorSchema,
  ChangedFile: entry.changedFileSchema,
  Claim: work.claimSchema,
  Cursor: cursor.cursorSchema,
  Delta: runner.deltaSchema,
  Diff: work.diffSchema,
  DraftEntry: entry.draftEntrySchema,
  Entry: entry.entrySchema,
  Failure: entry.failureSchema,
  Grown: viewer.grownSchema,
  Item: work.outboxItemSchema,
  Json: text.jsonSchema,
  LogItem: call.logItemSchema,
  Outage: viewer.outageSchema,
  Person: viewer.personSchema,
  PromptId: ids.promptIdSchema,
  PromptState: entry.promptStateSchema,
  Report: work.reportSchema,
  RunnerLink: viewer.runnerLinkSchema,
  RunnerReport: work.runnerReportSchema,
  SessionId: ids.sessionIdSchema,
  SessionStatus: entry.sessionStatusSchema,
  StatusChange: work.statusChangeSchema,
  TeamId: ids.teamIdSchema,
  TerminalState: work.terminalStateSchema,
}

/** Every generated block of the document by its name. */
const blocks: Record<string, () => string> = {
  "from-viewer": () => messages(viewer.fromViewerSchema, "viewer.ts", "fromViewerSchema"),
  "to-viewer": () => messages(viewer.toViewerSchema, "viewer.ts", "toViewerSchema"),
  "bus-event": () => messages(viewer.busEventSchema, "viewer.ts", "busEventSchema"),
  "from-runner": () => messages(runner.fromRunnerSchema, "runner.ts", "fromRunnerSchema"),
  "to-runner": () => messages(runner.toRunnerSchema, "runner.ts", "toRunnerSchema"),
  "room-call": () => messages(call.roomCallSchema, "call.ts", "roomCallSchema"),
  "bus-call": () => messages(call.busCallSchema, "call.ts", "busCallSchema"),
  "room-post": () => messages(call.roomPostSchema, "call.ts", "roomPostSchema"),
  answers: () =>
    definitions({
      RoomAnswer: call.roomAnswerSchema,
      IngestAnswer: call.ingestAnswerSchema,
      ClaimAnswer: call.claimAnswerSchema,
      StaleAnswer: call.staleAnswerSchema,
    }),
  claims: () =>
    definitions({
      TicketClaims: token.ticketClaimsSchema,
      SandboxClaims: token.sandboxClaimsSchema,
      ModelClaims: token.modelClaimsSchema,
      CallClaims: token.callClaimsSchema,
    }),
  shapes: () => {
    const { Json: _any, ...described } = names
    return definitions(described)
  },
  "close-codes": () =>
    table(
      ["code", "name", "when, and what to do"],
      closeCodes().map(({ value, name, comment }) => [value, `\`${name}\``, comment]),
    ),
  limits: () =>
    table(
      ["name", "value", "meaning"],
      limitConstants().map(({ name, value, comment }) => [`\`${name}\``, `\`${value}\``, comment]),
    ),
}

function messages(schema: z.ZodType, file: string, name: string): string {
  const comments = messageComments(file, name)
  const lines = alternativesOf(schema, names).map((shape) => {
    const comment = comments.get(/: "([^"]+)"/.exec(shape)?.[1] ?? "")
    return comment ? `// ${comment}\n${shape}` : shape
  })
  return code(lines.join("\n"))
}

function definitions(schemas: Named): string {
  return code(
    Object.entries(schemas)
      .map(([name, schema]) => {
        const options = alternativesOf(schema, names)
        const [only = ""] = options
        return options.length === 1
          ? `type ${name} = ${only}`
          : `type ${name} =\n${options.map((option) => `  | ${option.replaceAll("\n", "\n    ")}`).join("\n")}`
      })
      .join("\n"),
  )
}

const code = (content: string) => `\`\`\`ts\n${content}\n\`\`\``

function table(heads: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(" | ")} |`
  return [line(heads), line(heads.map(() => "---")), ...rows.map(line)].join("\n")
}

/** The document with every generated block as the schemas have it now. */
export function withBlocks(document: string): string {
  const used = new Set<string>()
  const next = document.replaceAll(
    /<!-- generated: ([\w-]+) -->\n.*?<!-- end -->/gs,
    (_block, name: string) => {
      const block = blocks[name]
      if (!block) throw new Error(`docs/protocol.md names a block that nobody writes: ${name}`)
      used.add(name)
      return `<!-- generated: ${name} -->\n${block()}\n<!-- end -->`
    },
  )
  const missing = Object.keys(blocks).filter((name) => !used.has(name))
  if (missing.length > 0) throw new Error(`docs/protocol.md lacks the blocks ${missing.join(", ")}`)
  return next
}

if (import.meta.main) writeFileSync(DOCUMENT, withBlocks(readFileSync(DOCUMENT, "utf8")))
