import { existsSync, globSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

/** Something a document names that the repository must have. */
type Mention = { line: number; kind: "path" | "link" | "make" | "npm"; name: string }

const topLevel = /^(app|server|prisma|party|runner|backend|docker|dev|tests|docs)\//
const fileWithFolder =
  /^[\w.@()[\]{},<>*…-]+(\/[\w.@()[\]{},<>*…-]+)+\.(ts|tsx|mjs|md|py|json|jsonc|sql)$/
const notOurs = /(^|\/)(node_modules|\.\w[\w-]*|generated)(\/|$)|^[@#~/$]/

/** Every path, relative link, `make` target and `npm run` script that the prose of a document names. */
export function mentions(markdown: string): Mention[] {
  const found: Mention[] = []
  let fenced = false
  for (const [index, text] of markdown.split("\n").entries()) {
    if (/^\s*(```|~~~)/.test(text)) fenced = !fenced
    if (fenced) continue
    const line = index + 1
    for (const [, code = ""] of text.matchAll(/`([^`]+)`/g)) {
      const make = /^(?:[A-Z_]+=\S+ )*make ([a-z][\w-]*)/.exec(code)?.[1]
      const npm = /^npm run ([\w:-]+)/.exec(code)?.[1]
      if (make) found.push({ line, kind: "make", name: make })
      else if (npm) found.push({ line, kind: "npm", name: npm })
      else if (isPath(code)) found.push({ line, kind: "path", name: code })
    }
    for (const [, target = ""] of text.matchAll(/\]\(([^)\s#]+)[^)]*\)/g)) {
      if (!/^[a-z]+:/.test(target)) found.push({ line, kind: "link", name: target })
    }
  }
  return found
}

function isPath(code: string): boolean {
  if (/\s/.test(code) || code.startsWith("./") || notOurs.test(code)) return false
  return topLevel.test(code) || fileWithFolder.test(code)
}

/** `a/{b,c}.ts` is two paths; `a/<noun>/x.ts`, `a/*` and `a/…` vouch only for the folder before the gap. */
function concretePaths(path: string): string[] {
  const brace = /^(.*?)\{([^{}]*)\}(.*)$/.exec(path)
  if (brace) {
    const [, before, choices = "", after] = brace
    return choices
      .split(",")
      .flatMap((choice) => concretePaths(`${before}${choice.trim()}${after}`))
  }
  const segments = path.replace(/[:#]\d.*$/, "").split("/")
  const gap = segments.findIndex((segment) => /[<>*…]|NNNN|\.\.\./.test(segment))
  return [(gap < 0 ? segments : segments.slice(0, gap)).join("/")]
}

/** One sentence for each thing that a Markdown document under `root` names and that is not there. */
export function deadMentions(root: string): string[] {
  const targets = makeTargets(root)
  const scripts = npmScripts(root)
  const documents = globSync("**/*.md", {
    cwd: root,
    exclude: (path) => notOurs.test(path),
  }).sort()

  return documents.flatMap((document) => {
    const folder = dirname(document)
    const exists = (path: string) =>
      existsSync(join(root, path)) || existsSync(join(root, folder, path))
    return mentions(readFileSync(join(root, document), "utf8")).flatMap(({ line, kind, name }) => {
      const at = `${document}:${line}`
      if (kind === "make")
        return targets.has(name) ? [] : [`${at} names \`make ${name}\`, which is no target`]
      if (kind === "npm")
        return scripts.has(name) ? [] : [`${at} names \`npm run ${name}\`, which is no script`]
      const gone = concretePaths(name).filter((path) => !exists(path))
      return gone.map((path) => `${at} names ${path}, which does not exist`)
    })
  })
}

function makeTargets(root: string): Set<string> {
  const makefile = join(root, "Makefile")
  if (!existsSync(makefile)) return new Set()
  const rules = readFileSync(makefile, "utf8").matchAll(/^([a-z][\w -]*):(?!=)/gm)
  return new Set([...rules].flatMap(([, names = ""]) => names.split(/\s+/)))
}

function npmScripts(root: string): Set<string> {
  const file = join(root, "package.json")
  if (!existsSync(file)) return new Set()
  const content: unknown = JSON.parse(readFileSync(file, "utf8"))
  const scripts = content && typeof content === "object" && "scripts" in content && content.scripts
  return new Set(scripts && typeof scripts === "object" ? Object.keys(scripts) : [])
}

if (import.meta.main) {
  const dead = deadMentions(fileURLToPath(new URL("..", import.meta.url)))
  for (const sentence of dead) console.error(sentence)
  if (dead.length > 0) process.exitCode = 1
}
