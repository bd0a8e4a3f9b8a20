import fc from "fast-check"
import { test } from "vitest"
import { Story } from "./testing/story.ts"

/** How many times the usual number of histories: `EFFORT=50 npx vitest run party/room/histories.test.ts`. */
const EFFORT = Number(process.env.EFFORT ?? 1)

type Deed = { does: string; run: (story: Story) => void }
type Choice = fc.MaybeWeightedArbitrary<Deed> & { weight: number }

const viewer = fc.integer({ min: 0, max: 2 })
const few = fc.integer({ min: 1, max: 4 })
const word = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 })
const torrent = fc.constant("x".repeat(700_000))
const fate = fc.constantFrom(
  "works" as const,
  "works" as const,
  "fails" as const,
  "answer-lost" as const,
)

const deed = (weight: number, does: string, run: (story: Story) => void): Choice => ({
  weight,
  arbitrary: fc.constant({ does, run }),
})

function deedWith<Value>(
  weight: number,
  does: string,
  values: fc.Arbitrary<Value>,
  run: (story: Story, value: Value) => void,
): Choice {
  const show = (value: Value) => `${does} ${JSON.stringify(value).slice(0, 20)}`
  const arbitrary = values.map((value) => ({
    does: show(value),
    run: (story: Story) => run(story, value),
  }))
  return { weight, arbitrary }
}

const agent = (piece: fc.Arbitrary<string>): Choice[] => [
  deedWith(12, "stream", piece, ({ runner }, text) => runner.stream(text)),
  deedWith(2, "begin", piece, ({ runner }, text) => runner.begin(text)),
  deed(3, "checkpoint", ({ runner }) => runner.checkpoint()),
  deed(2, "finish text", ({ runner }) => runner.finishText()),
  deed(3, "use tool", ({ runner }) => runner.useTool()),
  deed(3, "read steers", ({ runner }) => runner.readSteers()),
  deed(1, "end turn", ({ runner }) => runner.endTurn("succeeded")),
  deedWith(14, "room hears runner", few, ({ runner }, count) => runner.deliver(count)),
  deed(5, "runner reads", ({ runner }) => runner.read()),
  deed(4, "runner connects", ({ runner }) => runner.connect()),
]

const others: Choice[] = [
  deed(5, "prompt", (story) => story.prompt()),
  deedWith(4, "steer", fc.boolean(), (story, told) => story.steer(told)),
  deed(1, "stop", stopRunning),
  deedWith(4, "viewer connects", viewer, ({ viewers }, i) => viewers[i]?.connect()),
  deedWith(6, "viewer reads", fc.tuple(viewer, few), ({ viewers }, [i, n]) => viewers[i]?.read(n)),
  deedWith(4, "viewer has seen", viewer, ({ viewers }, i) => viewers[i]?.seen()),
  deedWith(5, "post", fate, ({ server }, how) => server.answer(how)),
  deedWith(8, "sleep", fc.constantFrom(1, 16, 300, 9_000), ({ world }, ms) => world.sleep(ms)),
]

const accidents: Choice[] = [
  deed(1, "runner drops", ({ runner }) => runner.disconnect()),
  deed(1, "runner restarts", ({ runner }) => runner.restart()),
  deedWith(2, "viewer drops", viewer, ({ viewers }, i) => viewers[i]?.disconnect()),
  deed(1, "new sandbox", (story) => void story.newSandbox()),
  deed(1, "room crashes", ({ world }) => world.crash()),
  deedWith(1, "room dies amid effects", few, ({ runner }, effects) => runner.deliver(1, effects)),
  deed(2, "room sleeps", ({ world }) => world.hibernate()),
]

const hearAll = deed(14, "all is heard", (story) => story.hearAll())
const hearsWithoutViewers = deed(14, "room and runner hear", (story) => story.hearRunner())
const leaves = deedWith(6, "viewer drops", viewer, ({ viewers }, i) => viewers[i]?.disconnect())
const flood = deed(6, "flood", ({ runner }) => runner.flood(2_300))

function stopRunning({ server, world }: Story): void {
  const live = server.attempts.find(({ claim, state }) => state === "dispatched" && !claim.steers)
  if (live) world.call({ call: "stop", promptId: live.claim.promptId, attempt: live.claim.attempt })
}

/** Plays random histories of these deeds, each from a turn that runs before three viewers; every end must be whole. */
function play(deeds: Choice[], length: number, runs: number): void {
  const histories = fc.array(fc.oneof(...deeds), { minLength: 1, maxLength: length, size: "max" })
  const property = fc.property(histories, (history) => {
    const story = new Story()
    story.prompt()
    for (let round = 0; round < 3; round++) story.hearAll()
    try {
      for (const { run } of history) {
        run(story)
        story.checkAlways()
      }
      story.settle()
      story.checkEnd()
    } catch (cause) {
      throw new Error(history.map(({ does }) => does).join("\n"), { cause })
    }
  })
  fc.assert(property, { numRuns: Math.ceil(runs * EFFORT) })
}

const promise = "[I1][I2][I3][I4][I5][I6] every viewer ends with the whole log and no text is lost"

test(`${promise}: drops, crashes and failures`, () => {
  play([...agent(word), ...others, ...accidents, hearAll], 120, 120)
}, 600_000)

test(`${promise}: slow readers of large texts`, () => {
  play([...agent(torrent), ...others, ...accidents, hearsWithoutViewers], 60, 8)
}, 600_000)

test(`${promise}: logs longer than the tail`, () => {
  play([...agent(word), ...others, ...accidents, hearAll, leaves, flood], 40, 5)
}, 600_000)
