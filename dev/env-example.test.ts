import { globSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { describe, expect, test } from "vitest"
import * as z from "zod"

const repository = new URL("..", import.meta.url)

/** Only meaningful on a laptop, so a deployment's example leaves them out. */
const localOnly = ["AGENT_OPS_LOCAL", "AGENT_OPS_HOME", "MODEL_URL"]
/** Read by the deploying tool, not by us. */
const toolVariables = ["CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_API_TOKEN"]

type Variable = { required: boolean; value: string }

const inputSchema = z.object({
  properties: z.record(z.string(), z.object({ default: z.unknown() }).partial()),
  required: z.array(z.string()).default([]),
})

/** What a deployable's schema asks for. The module is loaded by path: each is of another TypeScript program. */
async function declared(file: string): Promise<[string, Variable][]> {
  const module: Record<string, unknown> = await import(new URL(file, repository).href)
  const schemas = Object.values(module).filter((value) => value instanceof z.ZodObject)
  const [schema] = schemas
  if (!schema || schemas.length > 1) throw new Error(`${file} must export its one z.object`)
  const { properties, required } = inputSchema.parse(
    z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }),
  )
  return Object.entries(schema.shape).map(([variable, type]) => {
    // A default that is set behind a transformation shows only in what an absent variable becomes.
    const after = z.string().safeParse(z.safeParse(type, undefined).data)
    const value = String(properties[variable]?.default ?? after.data ?? "")
    return [variable, { required: required.includes(variable), value }]
  })
}

/** `NAME=value` is a required variable, `# NAME=value` an optional one with its default. */
function documented(file: string): Map<string, Variable> {
  const lines = readFileSync(new URL(file, repository), "utf8").split("\n")
  const variables = new Map<string, Variable>()
  for (const line of lines) {
    const [, comment, name, value = ""] = /^(# )?([A-Z][A-Z0-9_]*)=(.*)$/.exec(line) ?? []
    if (!name) continue
    expect(variables.has(name), `${file} names ${name} twice`).toBe(false)
    variables.set(name, { required: comment === undefined, value })
  }
  return variables
}

const all = new Map<string, Variable>()
/** What a sandbox's provider sets when it starts the runner; a person never does. */
const setByProvider: string[] = []

for (const file of globSync("{server,party,runner/src}/env.ts", {
  cwd: fileURLToPath(repository),
})) {
  for (const [variable, declaration] of await declared(file)) {
    const given = file.startsWith("runner/")
    if (given) setByProvider.push(variable)
    // Two deployables may read one variable, and only one of them need name its default.
    if (all.get(variable)?.value) continue
    all.set(variable, given ? { ...declaration, required: false } : declaration)
  }
}

describe(".env.example", () => {
  const example = documented(".env.example")

  test("names every variable, and none that nothing reads", () => {
    expect([...example.keys()].sort()).toEqual([...all.keys()].sort())
  })

  test.each([...all])("says of %s whether it is required, and its default", (name, declaration) => {
    const shown = example.get(name)
    expect(shown?.required).toBe(declaration.required)
    if (!declaration.required) expect(shown?.value).toBe(declaration.value)
  })

  test("explains every variable", () => {
    expect(unexplained(".env.example")).toEqual([])
  })
})

describe(".env.deploy.example", () => {
  const example = documented(".env.deploy.example")

  test("names every variable of a deployment, and none that nothing reads", () => {
    const expected = [...all.keys()].filter(
      (name) => ![...localOnly, ...setByProvider].includes(name),
    )
    expect([...example.keys()].sort()).toEqual([...expected, ...toolVariables].sort())
  })

  test("shows the default of what is optional", () => {
    for (const [name, { required, value }] of example) {
      if (!required && !toolVariables.includes(name))
        expect([name, value]).toEqual([name, all.get(name)?.value])
    }
  })

  test("requires at least what the code requires", () => {
    const missing = [...all].filter(
      ([name, { required }]) => required && !example.get(name)?.required,
    )
    expect(missing).toEqual([])
  })

  test("explains every variable", () => {
    expect(unexplained(".env.deploy.example")).toEqual([])
  })
})

/** Paragraphs that start with a variable instead of a sentence about it. */
function unexplained(file: string): string[] {
  const paragraphs = readFileSync(new URL(file, repository), "utf8").trim().split(/\n\n+/)
  return paragraphs.filter((paragraph) => !/^# [A-Z0-9][^=\n]* /.test(paragraph))
}
