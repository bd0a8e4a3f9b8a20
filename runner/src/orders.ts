import type { SandboxAway } from "#protocol/call"
import type { Ask, FromRunnerOf, ToRunnerOf } from "#protocol/runner"
import { Failed, failureOf } from "./failed.ts"
import type { RoomOrder } from "./link/room-link.ts"
import type { PromptLoop } from "./prompt/ports.ts"
import type { OpenWorkspace } from "./workspace/workspace.ts"

type Result = FromRunnerOf<"answer">["result"]

export type Served = { loop: PromptLoop; workspace: OpenWorkspace }

/** Hands the room's orders on. What comes while the sandbox still boots waits; questions are answered that they must. */
export class Orders {
  readonly #answer: (id: string, result: Result) => void
  readonly #waiting: Exclude<RoomOrder, { type: "ask" }>[] = []
  #served: Served | null = null

  constructor(answer: (id: string, result: Result) => void) {
    this.#answer = answer
  }

  take(order: RoomOrder): void {
    if (order.type === "ask") void this.#ask(order)
    else if (this.#served) obey(order, this.#served.loop)
    else this.#waiting.push(order)
  }

  /** From here on orders reach the loop, those that waited first. */
  serve(served: Served): void {
    this.#served = served
    for (const order of this.#waiting.splice(0)) obey(order, served.loop)
  }

  /** Orders wait again, for ever: the runner is about to end and the next one is asked anew. */
  close(): void {
    this.#served = null
  }

  async #ask({ id, ask }: ToRunnerOf<"ask">): Promise<void> {
    try {
      this.#answer(id, { ok: true, value: await reply(ask, this.#served) })
    } catch (error) {
      this.#answer(id, { ok: false, error: failureOf(error) })
    }
  }
}

function obey(order: Exclude<RoomOrder, { type: "ask" }>, loop: PromptLoop): void {
  switch (order.type) {
    case "run":
      loop.run(order.claim)
      break
    case "stop":
      loop.stop({ promptId: order.promptId, attempt: order.attempt })
      break
    case "report":
      loop.report({ promptId: order.promptId, attempt: order.attempt })
      break
    case "resend":
      loop.resend(order.keys)
      break
    default:
      order satisfies never
  }
}

function reply(ask: Ask, served: Served | null) {
  if (!served) {
    const reason: SandboxAway = "sandbox-not-ready"
    throw new Failed(reason, "The sandbox is still starting. Try again in a moment.")
  }
  switch (ask.name) {
    case "diff":
      return served.workspace.changes()
    case "file":
      return served.workspace.file(ask.path)
    default:
      return ask satisfies never
  }
}
