import { expect, test } from "vitest"
import { sandboxModelSchema } from "#protocol/sandbox-spec"
import { chooseModel, modelCatalogue, modelCostMicros } from "./index.ts"

const settings = (modelProviders: Parameters<typeof modelCatalogue>[0]["modelProviders"]) => ({
  modelProviders,
  compatibleModels: ["qwen"],
})

test("only configured providers' models are offered, in the operator's order", () => {
  const ids = modelCatalogue(settings(["compatible", "scripted"])).map(({ id }) => id)
  expect(ids).toEqual([
    "compatible/qwen",
    "scripted/demo",
    "scripted-responses/demo",
    "scripted-messages/demo",
  ])
})

test("every model can be told to a sandbox, and demo models are labelled", () => {
  const all = modelCatalogue(
    settings(["scripted", "anthropic", "openai", "openrouter", "compatible"]),
  )
  for (const model of all) {
    expect(sandboxModelSchema.safeParse(model).success).toBe(true)
    expect(model.demo).toBe(model.name.startsWith("Demo model"))
  }
  expect(new Set(all.map(({ id }) => id)).size).toBe(all.length)
})

test("an unknown model is refused with the names of those that exist", () => {
  expect(() => chooseModel(settings(["scripted"]), "openai/gpt-99")).toThrow(
    expect.objectContaining({
      reason: "unknown-model",
      message: expect.stringContaining("scripted/demo"),
    }),
  )
  expect(chooseModel(settings(["anthropic", "scripted"]), undefined)).toMatch(/^anthropic\//)
})

test.each([
  ["", "The model's name is empty."],
  ["acme/gpt-9", "There is no model “acme/gpt-9”."],
  ["a\u202eb\n", "There is no model “a\ufffdb\ufffd”."],
])("%j is refused in a sentence that says what and what next", (wished, problem) => {
  expect(() => chooseModel(settings(["scripted"]), wished)).toThrow(
    `${problem} Leave it out, or choose one of: scripted/demo, scripted-responses/demo, scripted-messages/demo.`,
  )
})

test.each([undefined, "", "openai/gpt-99"])(
  "without any provider the error says what an operator has to do, asked for %j",
  (wished) => {
    expect(() => chooseModel(settings([]), wished)).toThrow(
      expect.objectContaining({ reason: "no-model-configured" }),
    )
  },
)

test("cost is counted in whole micro-dollars, cached input at its own price", () => {
  const cost = (usage: { inputTokens: number; cachedInputTokens: number; outputTokens: number }) =>
    modelCostMicros(settings(["anthropic"]), { model: "anthropic/claude-sonnet-5", ...usage })
  expect(cost({ inputTokens: 1_000_000, cachedInputTokens: 0, outputTokens: 0 })).toBe(2_000_000)
  expect(cost({ inputTokens: 1_000_000, cachedInputTokens: 1_000_000, outputTokens: 0 })).toBe(
    200_000,
  )
  expect(cost({ inputTokens: 0, cachedInputTokens: 0, outputTokens: 100 })).toBe(1_000)
  expect(
    modelCostMicros(settings([]), {
      model: "gone/model",
      inputTokens: 9,
      cachedInputTokens: 0,
      outputTokens: 9,
    }),
  ).toBe(0)
})
