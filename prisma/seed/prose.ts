/** What people ask for and what an agent says, in the variety that a timeline has to show. */
type Some = readonly [string, ...string[]]

export const ASKS: Some = [
  "The checkout total is off by one cent for some baskets. Find out why and fix it.",
  "Please add a `--dry-run` flag to the importer. It should print what it would write and exit 0.",
  "CI is red on main since this morning: `test_invoice_rounding` fails. Have a look?",
  "Rename `getUserData` to `findCustomer` everywhere, including the docs.",
  "The settings page takes 4 s to load. Profile it, tell me what you see, then fix the worst part.",
  "Write tests for `parseAddress`: empty lines, umlauts (Köln, Zürich), and the long Welsh town name.",
  "Update the dependencies that have security advisories. Keep majors where they are.",
  "Explain how the retry queue works. No changes, a short summary with file names is enough.",
  "Same as before, but for the German locale (1.234,56 €).",
  "Thanks! Now squash that into one migration and make it reversible.",
]

export const THOUGHTS: Some = [
  "The total is computed in two places. `basket.ts` rounds each line, `invoice.ts` rounds the sum. That alone explains a difference of one cent.",
  "Before I change anything I should see the failing test. If it fails here as well, the cause is in the code and not in CI.",
  "The name appears in 14 files. Two of them are generated, so I must change the generator and not its output.",
  "The query runs once per row: 212 queries for one page. A join or a single `IN` will do.",
  "There is a subtle point: the tests freeze the clock at midnight UTC, and the code under test uses local time.",
]

export const SAYINGS: Some = [
  "Let me look at the code first.",
  "The tests fail here too, so this is not about CI. I will go through the rounding next.",
  "I found it. Two functions round the same amount:\n\n| where | what it rounds | result |\n|---|---|---|\n| `basket.ts` | each line | 10.01 |\n| `invoice.ts` | the sum | 10.00 |\n\nI will keep the **second**, because the law asks for it.",
  "Here is the change in short:\n\n```ts\nexport function total(lines: readonly Line[]): Cents {\n  const exact = lines.reduce((sum, line) => sum + line.quantity * line.price, 0)\n  return roundHalfEven(exact)\n}\n```\n\nEvery caller goes through it now.",
  "Steps from here:\n\n1. make the test fail for the right reason,\n2. move the rounding to one place,\n3. run the *whole* suite, not only this file.\n\n> The importer has the same pattern; I leave it alone unless you want it changed.",
  "That command is not available in this sandbox. I will use the project's own script instead.",
]

export const SUMMARIES: Some = [
  "Done. The total is rounded once, in `src/money/total.ts`, and all 214 tests pass.\n\n**Changed**\n- `src/money/total.ts`: new, the only place that rounds\n- `src/basket.ts`, `src/invoice.ts`: use it\n- `tests/total.test.ts`: the basket from your report, and 500 random ones\n\nNothing else depends on the old behaviour.",
  "The flag is in. `importer --dry-run orders.csv` prints one line per row it *would* write:\n\n```console\n$ npm run importer -- --dry-run orders.csv\ninsert order 1041 (3 lines)\nupdate order 1042 (status: paid)\n2 rows, nothing written\n```",
  "The page loads in 0.4 s now (it was 4.1 s): one query instead of 212. The rest of the time is the avatar service, which I have not touched.",
  "Renamed in 12 files; the two generated ones follow from the generator. The documentation says `findCustomer` as well. ✅",
  "I could not finish: the package mirror answers 503. What is done so far is committed; send this prompt again when the mirror is back.",
]

export const PATHS: Some = [
  "src/basket.ts",
  "src/invoice.ts",
  "src/money/total.ts",
  "src/importer/read-rows.ts",
  "src/settings/settings-page.tsx",
  "tests/total.test.ts",
  "tests/importer.test.ts",
  "docs/rounding.md",
  "package.json",
]

export const TODO_ITEMS: Some = [
  "Reproduce the failing test",
  "Find every place that rounds",
  "Move the rounding to one function",
  "Run the whole suite",
]
