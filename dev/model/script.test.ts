import { describe, expect, test } from "vitest"
import type { Conversation, Turn } from "./conversation.ts"
import { respond } from "./respond.ts"
import { groupIntoResponses, parseScript, scriptedResponse } from "./script.ts"

function conversation(turns: Turn[], more: Partial<Conversation> = {}): Conversation {
  return {
    model: "demo",
    stream: true,
    streamUsage: true,
    system: "<env>\n  Working directory: /home/me/my project\n</env>",
    toolNames: ["bash", "read", "write"],
    turns,
    ...more,
  }
}

function prompt(steps: unknown, before = "", after = ""): Turn {
  const source = typeof steps === "string" ? steps : JSON.stringify(steps, null, 2)
  return { role: "user", text: `${before}\n\`\`\`agent-script\n${source}\n\`\`\`\n${after}` }
}

const answered: Turn = { role: "assistant", calls: [] }
const result: Turn = { role: "tool", callId: "1", output: "ok" }
const bash = { tool: "bash", input: { command: "ls" } }

describe("which response is due", () => {
  const script = prompt([{ say: "a" }, bash, { say: "b" }], "Please.", "Thank you.")

  test("is counted by the assistant messages since the prompt with the script", () => {
    expect(scriptedResponse(conversation([script]))).toEqual([{ say: "a" }, bash])
    expect(scriptedResponse(conversation([script, answered, result]))).toEqual([{ say: "b" }])
    expect(scriptedResponse(conversation([script, answered, result, answered]))).toEqual([
      { say: "Done." },
    ])
  })

  test("ignores assistant messages before that prompt, and prompts without a script after it", () => {
    const plain: Turn = { role: "user", text: "And hurry." }
    const turns = [plain, answered, script, answered, result, plain]
    expect(scriptedResponse(conversation(turns))).toEqual([{ say: "b" }])
  })

  test("follows the last script when there are several, also within one message", () => {
    const later = prompt([{ say: "new" }])
    expect(scriptedResponse(conversation([script, answered, later]))).toEqual([{ say: "new" }])
    const text = '```agent-script\n[{"say":"old"}]\n```\n```agent-script\n[{"say":"new"}]\n```'
    const both: Turn = { role: "user", text }
    expect(scriptedResponse(conversation([both]))).toEqual([{ say: "new" }])
  })

  test("is none without a script", () => {
    expect(scriptedResponse(conversation([{ role: "user", text: "`agent-script`" }]))).toBe(
      undefined,
    )
  })

  test("takes a script inside a step's text for text, so that a sub-agent can be given one", () => {
    const inner = "```agent-script\n[]\n```"
    const outer = prompt([{ tool: "task", input: { prompt: inner } }])
    expect(scriptedResponse(conversation([outer]))).toEqual([
      { tool: "task", input: { prompt: inner } },
    ])
  })
})

describe("responses", () => {
  test("say, think and sleepMs join what follows, up to what ends a response", () => {
    const raw = { raw: "x" }
    const hang = { hang: true } as const
    expect(
      groupIntoResponses([
        { think: "t" },
        { say: "a" },
        bash,
        { sleepMs: 1 },
        { parallel: [bash] },
        { httpError: 500 },
        { say: "b" },
        raw,
        hang,
        { say: "c" },
      ]),
    ).toEqual([
      [{ think: "t" }, { say: "a" }, bash],
      [{ sleepMs: 1 }, { parallel: [bash] }],
      [{ httpError: 500 }],
      [{ say: "b" }, raw],
      [hang],
      [{ say: "c" }],
    ])
  })

  test("end with a word of their own unless the last step spoke", () => {
    expect(groupIntoResponses([{ think: "t" }])).toEqual([[{ think: "t" }, { say: "Done." }]])
    expect(scriptedResponse(conversation([prompt([])]))).toEqual([{ say: "Done." }])
    expect(scriptedResponse(conversation([prompt([bash]), answered]))).toEqual([{ say: "Done." }])
  })
})

describe("$CWD", () => {
  test("is the working directory of the system prompt, anywhere in a tool's input", () => {
    const step = { tool: "x", input: { a: "$CWD/$CWD", b: [{ c: "$CWD" }], d: 1, e: null } }
    const here = "/home/me/my project"
    expect(scriptedResponse(conversation([prompt([{ parallel: [step] }])]))).toEqual([
      {
        parallel: [{ tool: "x", input: { a: `${here}/${here}`, b: [{ c: here }], d: 1, e: null } }],
      },
    ])
  })

  test("is refused when the system prompt names no directory", () => {
    const steps = JSON.stringify([{ say: "a" }, { tool: "read", input: { filePath: "$CWD/a" } }])
    expect(() => parseScript(steps, undefined)).toThrow(/step 2 uses \$CWD, but the system prompt/)
  })
})

describe("a bad script is refused with a sentence", () => {
  test.each([
    ["[{]", /not valid JSON: /],
    ['{"say": "x"}', /expected a JSON array of steps/],
    ['[{"say": "x"}, {"sya": "y"}]', /step 2 must have exactly one of say, .*; it has sya/],
    ['["x"]', /step 1 must have exactly one of .*; it has none/],
    ['[{"say": "x", "think": "y"}]', /step 1 must have exactly one of .*; it has say, think/],
    ['[{"say": "x", "repeat": 0}]', /step 1 \(say\): repeat: /],
    ['[{"say": "x", "every": 5}]', /step 1 \(say\): Unrecognized key: "every"/],
    ['[{"say": ""}]', /step 1 \(say\): say: /],
    ['[{"httpError": 200}]', /step 1 \(httpError\): httpError: /],
    ['[{"hang": false}]', /step 1 \(hang\): hang: /],
    ['[{"parallel": [{"say": "x"}]}]', /step 1 \(parallel\): parallel\.0\.tool: /],
    ['[{"tool": "bash", "input": "ls"}]', /step 1 \(tool\): input: /],
  ])("%s", (source, sentence) => {
    expect(() => scriptedResponse(conversation([prompt(source)]))).toThrow(sentence)
  })

  test("also when its block is never closed", () => {
    const open: Turn = { role: "user", text: "```agent-script\n[]" }
    expect(() => scriptedResponse(conversation([open]))).toThrow(/never closed/)
  })
})

describe("titles", () => {
  const asked = { toolNames: [], system: "You are a title generator." }
  const request: Turn = { role: "user", text: "Generate a title for this conversation:\n" }

  test("are the first words of the prompt, whatever its script", () => {
    const turns = [request, prompt("[broken", "Fix the login page, please")]
    expect(respond(conversation(turns, asked))).toEqual([{ say: "Fix the login page, please" }])
  })

  test("are at most 50 characters, and there is one when the prompt is only a script", () => {
    const long: Turn = { role: "user", text: "x".repeat(80) }
    expect(respond(conversation([request, long], asked))).toEqual([{ say: "x".repeat(50) }])
    const turns = [request, prompt([{ say: "x" }])]
    expect(respond(conversation(turns, asked))).toEqual([{ say: "Scripted session" }])
  })

  test("are for title and summary requests: another request without tools plays its script", () => {
    const turns = [prompt([{ say: "x" }])]
    expect(respond(conversation(turns, { toolNames: [] }))).toEqual([{ say: "x" }])
  })
})
