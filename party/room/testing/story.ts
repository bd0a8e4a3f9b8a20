import {
  checkAcknowledged,
  checkAttempts,
  checkComplete,
  checkOutage,
  checkSame,
  checkTexts,
} from "./invariants.ts"
import { ModelRunner } from "./model-runner.ts"
import { ModelServer } from "./model-server.ts"
import { ModelViewer } from "./model-viewer.ts"
import { claimOf } from "./samples.ts"
import { World } from "./world.ts"

/** A world with everybody in it: a server, three viewers, one sandbox after the other. */
export class Story {
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

  steer(told: boolean): void {
    this.#prompts += 1
    this.server.steer(claimOf(`prompt-${this.#prompts}`), told)
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
    this.world.sleep(20)
    this.#everybodyReads()
  }

  hearRunner(): void {
    this.runner.connect()
    this.runner.deliver()
    this.runner.read()
    while (this.world.posts.length > 0) this.server.answer()
  }

  #everybodyReads(): void {
    this.hearRunner()
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
    checkOutage(this.world, this.viewers)
    checkSame(this.world, this.server, this.viewers)
    checkAttempts(this.server, this.runners)
    for (const runner of this.runners) checkTexts(this.world, this.server, runner)
    if (this.runner.acked < this.runner.outbox.length)
      throw new Error("[I2] an outbox is left over")
  }
}
