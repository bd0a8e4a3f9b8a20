import fc from "fast-check"
import { expect, test } from "vitest"
import {
  checkAcknowledged,
  checkAttempts,
  checkComplete,
  checkSame,
  checkTexts,
} from "./testing/invariants.ts"
import { ModelRunner } from "./testing/model-runner.ts"
import { ModelServer } from "./testing/model-server.ts"
import { ModelViewer } from "./testing/model-viewer.ts"
import { claimOf } from "./testing/samples.ts"
import { World } from "./testing/world.ts"

/** More of them: `HISTORIES=10000 npx vitest run party/room/histories.test.ts`. */
const RUNS = Number(process.env.HISTORIES ?? 150)

/** A world with everybody in it. */
class Story {
  readonly world = new World()
  readonly server = new ModelServer(this.world)
  readonly viewers = [0, 1, 2].map(() => new ModelViewer(this.world, this.server))
  readonly runners: ModelRunner[] = []
  #prompts = 0

  get runner(): ModelRunner {
    return this.runners.at(-1) ?? this.newSandbox()
  }

  newSandbox(): ModelRunner {
    this.server.fence()
    const runner = new ModelRunner(this.world, this.server.generation)
    this.runners.push(runner)
    return runner
  }

  prompt(): void {
    this.#prompts += 1
    this.server.queue.push(claimOf(`prompt-${this.#prompts}`))
    this.world.call({ call: "pull" })
  }

  /** Everybody is connected and hears everything until nothing changes any more. */
  settle(): void {
    for (let round = 0; round < 6 || this.#busy(); round++) {
      if (round > 50) throw new Error("the story does not come to rest")
      if (round > 3) this.runner.endTurn("succeeded")
      this.hearAll()
      this.world.sleep(15_000, this.world.now + 15_000)
    }
    for (let round = 0; round < 20; round++) this.#everybodyReads()
  }

  hearAll(): void {
    this.#everybodyReads()
    while (this.world.posts.length > 0) this.server.answer()
  }

  #everybodyReads(): void {
    this.runner.connect()
    this.runner.deliver()
    this.runner.read()
    for (const viewer of this.viewers) {
      viewer.connect()
      viewer.read()
      viewer.seen()
    }
  }

  #busy(): boolean {
    const { queue, attempts, ingestedSeq } = this.server
    const live = attempts.some(({ state }) => state === "dispatched")
    return queue.length > 0 || live || ingestedSeq < this.world.state.storedHead
  }

  checkAlways(): void {
    for (const viewer of this.viewers) checkComplete(this.world, viewer)
    for (const runner of this.runners) checkAcknowledged(this.world, this.server, runner)
  }

  checkEnd(): void {
    this.checkAlways()
    checkSame(this.world, this.server, this.viewers)
    checkAttempts(this.server, this.runners)
    for (const runner of this.runners) checkTexts(this.world, this.server, runner)
    expect(this.server.ingestedSeq).toBe(this.world.state.storedHead)
    expect(this.runner.acked).toBe(this.runner.outbox.length)
  }
}

type Deed = { does: string; run: (story: Story) => void }

const deed = (does: string, run: (story: Story) => void): Deed => ({ does, run })
const piece = fc.oneof(
  { weight: 8, arbitrary: fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }) },
  { weight: 1, arbitrary: fc.constant("x".repeat(400_000)) },
)
const viewer = fc.integer({ min: 0, max: 2 })
const few = fc.integer({ min: 1, max: 4 })

const deeds = fc.oneof(
  {
    weight: 6,
    arbitrary: piece.map((text) =>
      deed(`stream ${text.length}`, ({ runner }) => runner.stream(text)),
    ),
  },
  {
    weight: 3,
    arbitrary: piece.map((text) =>
      deed(`begin ${text.length}`, ({ runner }) => runner.begin(text)),
    ),
  },
  { weight: 3, arbitrary: fc.constant(deed("checkpoint", ({ runner }) => runner.checkpoint())) },
  { weight: 2, arbitrary: fc.constant(deed("finish text", ({ runner }) => runner.finishText())) },
  { weight: 3, arbitrary: fc.constant(deed("use tool", ({ runner }) => runner.useTool())) },
  {
    weight: 2,
    arbitrary: fc.constant(deed("end turn", ({ runner }) => runner.endTurn("succeeded"))),
  },
  { weight: 3, arbitrary: fc.constant(deed("prompt", (story) => story.prompt())) },
  {
    weight: 8,
    arbitrary: few.map((n) => deed(`room hears runner ${n}`, ({ runner }) => runner.deliver(n))),
  },
  { weight: 5, arbitrary: fc.constant(deed("runner reads", ({ runner }) => runner.read())) },
  { weight: 4, arbitrary: fc.constant(deed("runner connects", ({ runner }) => runner.connect())) },
  { weight: 1, arbitrary: fc.constant(deed("runner drops", ({ runner }) => runner.disconnect())) },
  { weight: 1, arbitrary: fc.constant(deed("runner restarts", ({ runner }) => runner.restart())) },
  {
    weight: 4,
    arbitrary: viewer.map((i) =>
      deed(`viewer ${i} connects`, ({ viewers }) => viewers[i]?.connect()),
    ),
  },
  {
    weight: 1,
    arbitrary: viewer.map((i) =>
      deed(`viewer ${i} drops`, ({ viewers }) => viewers[i]?.disconnect()),
    ),
  },
  {
    weight: 6,
    arbitrary: fc
      .tuple(viewer, few)
      .map(([i, n]) => deed(`viewer ${i} reads ${n}`, ({ viewers }) => viewers[i]?.read(n))),
  },
  {
    weight: 4,
    arbitrary: viewer.map((i) => deed(`viewer ${i} seen`, ({ viewers }) => viewers[i]?.seen())),
  },
  {
    weight: 5,
    arbitrary: fc
      .constantFrom("works" as const, "works" as const, "fails" as const, "answer-lost" as const)
      .map((fate) => deed(`post ${fate}`, ({ server }) => server.answer(fate))),
  },
  {
    weight: 6,
    arbitrary: fc
      .constantFrom(1, 16, 300, 9_000)
      .map((ms) => deed(`sleep ${ms}`, ({ world }) => world.sleep(ms))),
  },
  {
    weight: 1,
    arbitrary: fc.constant(
      deed("new sandbox", (story) => {
        story.newSandbox()
      }),
    ),
  },
  { weight: 1, arbitrary: fc.constant(deed("stop", stopRunning)) },
  { weight: 6, arbitrary: fc.constant(deed("all is heard", (story) => story.hearAll())) },
  { weight: 2, arbitrary: fc.constant(deed("room sleeps", ({ world }) => world.hibernate())) },
  { weight: 1, arbitrary: fc.constant(deed("flood", ({ runner }) => runner.flood(1_100))) },
  { weight: 1, arbitrary: fc.constant(deed("room crashes", ({ world }) => world.crash())) },
  {
    weight: 1,
    arbitrary: few.map((n) =>
      deed(`room dies after ${n} effects`, ({ runner }) => runner.deliver(1, n)),
    ),
  },
)

function stopRunning({ server, world }: Story): void {
  const live = server.attempts.find(({ state }) => state === "dispatched")
  if (live) world.call({ call: "stop", promptId: live.claim.promptId, attempt: live.claim.attempt })
}

test("[I1][I2][I3][I4][I5][I6] any history of drops, crashes, failures and slow readers ends whole", () => {
  const property = fc.property(
    fc.array(deeds, { minLength: 1, maxLength: 120, size: "max" }),
    (history) => {
      const story = new Story()
      try {
        for (const { run } of history) {
          run(story)
          story.checkAlways()
        }
        story.settle()
        story.checkEnd()
      } catch (error) {
        throw new Error(history.map(({ does }) => does).join("\n"), { cause: error })
      }
    },
  )
  fc.assert(property, { numRuns: RUNS, endOnFailure: false })
}, 60_000)
