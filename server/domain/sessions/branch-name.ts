import { Invalid } from "../errors.ts"
import { quoted } from "../quoted.ts"

const MAX_BRANCH_BYTES = 244

/** What `git check-ref-format --branch` refuses, each with its reason in words. */
const RULES: [RegExp, string][] = [
  [/^$/, "is empty"],
  [/^-/, "begins with -"],
  [/^@$/, "is only @"],
  [/^\/|\/$|\/\//, "has an empty part between slashes"],
  [/(^|\/)\./, "has a part that begins with a dot"],
  [/\.lock(\/|$)/, "has a part that ends in .lock"],
  [/\.$/, "ends in a dot"],
  [/\.\./, "contains .."],
  [/@\{/, "contains @{"],
  [/[\p{Cc} ~^:?*[\\]/u, "contains a blank, a control character or one of ~ ^ : ? * [ \\"],
]

/** The branch name if git would take it. */
export function branchName(name: string): string {
  const broken = RULES.find(([rule]) => rule.test(name))
  const tooLong = Buffer.byteLength(name) > MAX_BRANCH_BYTES
  if (!broken && !tooLong && name.isWellFormed()) return name
  const why = broken?.[1] ?? (tooLong ? "is too long" : "is not valid text")
  throw new Invalid(
    "branch-name-invalid",
    `${quoted(name)} cannot be a branch: it ${why}. Use the name of an existing one, or leave it out.`,
  )
}
