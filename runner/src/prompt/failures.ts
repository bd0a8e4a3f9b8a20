import type { Failure } from "#protocol/entry"
import { storableText } from "#protocol/text"
import type { Claim } from "#protocol/work"
import type { AgentError } from "../agent/wire.ts"
import type { Verdict } from "./watchdog.ts"

const maxSaidChars = 500
/** How Bun says that nobody answers, or no longer. */
const noAnswer = /unable to connect|socket connection was closed|ECONNRE(FUSED|SET)/i
/** How OpenCode says that the prompt names an agent that it has not. */
const noSuchAgent = /^Agent not found: "(.*)"\. Available agents: (.*)$/
const rateLimit = /\b429\b|rate.?limit|too many requests|quota/i

const elsewhere = "retry later or choose another model"

/** Why a turn failed, from the error that the agent ended it with. */
export function errorFailure(error: AgentError, model: string): Failure {
  const { message, statusCode } = error.data
  const told = said(message ?? error.name)
  switch (error.name) {
    case "APIError":
      if (statusCode === undefined && isBrokerAway(told)) return brokerFailure(model, false)
      return apiFailure(statusCode, told, model)
    case "ProviderAuthError":
      return refused(model, "", told, "check the provider's key or choose another model")
    case "ContentFilterError":
      return refused(model, "", told, "rephrase the prompt or choose another model")
    case "ContextOverflowError":
      return failure(
        "context-full",
        `The conversation no longer fits ${model}: ${told}; start a new session or choose a model with a larger context.`,
      )
    case "MessageOutputLengthError":
      return failure(
        "answer-too-long",
        `${model} reached its longest answer before it was done; ask it to continue.`,
      )
    default:
      if (noSuchAgent.test(told)) return agentUnknown(told)
      return failure("agent-failed", `The agent could not work with ${model}: ${told}; ${again}.`)
  }
}

const again = "retry, and if it happens again choose another model or agent"

function agentUnknown(told: string): Failure {
  const [, name = "", known = ""] = noSuchAgent.exec(told) ?? []
  return failure(
    "agent-unknown",
    `This sandbox has no agent “${name}”. Send the prompt again with one of those that it has: ${known}.`,
  )
}

function apiFailure(status: number | undefined, told: string, model: string): Failure {
  if (status === 429) return limited(model, told)
  if (status === undefined || status >= 500) return unavailable(model, told)
  const next =
    status === 401 || status === 403
      ? "check the provider's key or choose another model"
      : "change the prompt or choose another model"
  return refused(model, ` (${status})`, told, next)
}

/** The broker itself is away, as while the rooms restart; a model's own trouble comes as its answer. */
export const isBrokerAway = (message: string): boolean => noAnswer.test(message)

/** Our own fault, which is not to be blamed on the model. */
export function brokerFailure(model: string, wrote: boolean): Failure {
  return wrote
    ? failure(
        "broker-restarted",
        `The platform's model broker restarted in the middle of ${model}'s answer; what came is kept, retry or ask it to continue.`,
      )
    : failure(
        "broker-unreachable",
        `The platform's model broker cannot be reached, so ${model} was not asked; retry in a moment.`,
      )
}

/** Why a turn failed whose model the agent has asked again and again. The agent passes on no status, only a sentence. */
export function retryFailure(message: string, model: string, wroteBefore: boolean): Failure {
  const told = said(message)
  if (rateLimit.test(message)) return limited(model, told)
  return wroteBefore ? brokeOff(model, told) : unavailable(model, told)
}

export function brokeOff(model: string, told: string): Failure {
  return failure(
    "model-broke-off",
    `${model} broke off in the middle of its answer (${told}); what came is kept, retry or ask it to continue.`,
  )
}

const limited = (model: string, told: string) =>
  failure("model-rate-limited", `${model} takes no more requests for now: ${told}; ${elsewhere}.`)

const unavailable = (model: string, told: string) =>
  failure("model-unavailable", `${model} did not answer properly: ${told}; ${elsewhere}.`)

const refused = (model: string, status: string, told: string, next: string) =>
  failure("model-refused", `${model} refused the request${status}: ${told}; ${next}.`)

/** Why a turn failed that ran into a deadline. */
export function deadlineFailure(
  reason: Verdict,
  deadlines: Claim["deadlines"],
  model: string,
): Failure {
  const sentences: Record<Verdict, string> = {
    "agent-did-not-start": `The agent took the prompt but did not begin within ${seconds(deadlines.startMs)}; retry.`,
    "model-silent": `${model} said nothing for ${seconds(deadlines.silenceMs)} or more; ${elsewhere}.`,
    "turn-too-long": `The turn took longer than ${seconds(deadlines.turnMs)} and was ended; ask for it in smaller steps.`,
  }
  return failure(reason, sentences[reason])
}

export const failure = (reason: string, message: string): Failure => ({ reason, message })

const seconds = (ms: number) => `${Math.round(ms / 100) / 10} s`

/** What was said, short and without its full stop. */
const said = (text: string) => storableText(text.slice(0, maxSaidChars)).trim().replace(/\.$/, "")
