import { strike } from "./accidents.ts"
import { checkEnd } from "./checks/end.ts"
import { checkFrame } from "./checks/frames.ts"
import { unsettled } from "./checks/settled.ts"
import type { Backend } from "./database/backend.ts"
import { SimulatedProcess } from "./kernel/simulated-process.ts"
import { Simulation } from "./kernel/simulation.ts"
import type { Person } from "./parts/person.ts"
import { Watcher } from "./parts/watcher.ts"
import { CALM, drawProfile, type Profile } from "./profile.ts"
import { buildWorld, type SimulatedWorld } from "./simulated-world.ts"

/** How long a healed world may take to come to rest. */
const SETTLE_MS = 15 * 60_000
const LOOK_EVERY_MS = 1_000
/** What still moves after rest, such as a late timer, has this long to break something. */
const CALM_MS = 8_000

/** Lines after which an accident hits hardest: something was just handed over, and not everybody knows. */
const MOMENTS = [
  '{"type":"run"',
  '{"type":"stop"',
  '{"type":"items"',
  '{"type":"ack"',
  '"attempt.accepted"',
  '"attempt.ended"',
  "! room-web",
  "! web-room",
  "! person-web",
  "job ",
  "provider ",
]
const MOMENT_MS = 40

export type HistoryReport = {
  seed: number
  digest: string
  events: number
  virtualMs: number
  prompts: number
  machines: number
  /** How often each accident struck, and each end of an attempt was come to. */
  tally: Record<string, number>
}

/** A history that broke a promise, with what led there. */
export class BrokenHistory extends Error {
  readonly lines: readonly string[]

  constructor(seed: number, cause: unknown, lines: readonly string[]) {
    super(
      `${cause instanceof Error ? cause.message : String(cause)}\nReplay: ${replayCommand(seed)}`,
      { cause },
    )
    this.name = "BrokenHistory"
    this.lines = lines
  }
}

export const replayCommand = (seed: number) =>
  `SIMULATION_SEED=${seed} npx vitest run --config tests/simulation/vitest.config.ts`

/** Plays the history of a seed and checks every promise on it. Throws {@link BrokenHistory}. */
export async function playHistory(
  seed: number,
  backend: Backend,
  onLine?: (line: string) => void,
): Promise<HistoryReport> {
  const simulation = new Simulation(seed)
  simulation.onLine = onLine ?? null
  const began = simulation.now
  const stop = catchUnhandled(simulation)
  try {
    const profile = drawProfile(simulation.random)
    simulation.note(`profile ${JSON.stringify(profile)}`)
    const world = await buildWorld(simulation, backend, profile)
    await live(world, profile)
    heal(world, profile)
    await settle(world)
    await wakeIfAsleep(world)
    await checkEnd(world)
    return {
      seed,
      digest: simulation.digest(),
      events: simulation.events,
      virtualMs: simulation.now - began,
      prompts: world.deeds.sent.size,
      machines: world.machines.all.length,
      tally: Object.fromEntries(simulation.tally),
    }
  } catch (error) {
    throw new BrokenHistory(seed, error, simulation.lines)
  } finally {
    stop()
  }
}

/** People work while things go wrong. */
async function live(world: SimulatedWorld, profile: Profile): Promise<void> {
  const { simulation, worker, people } = world
  const [ada] = people
  const until = simulation.now + profile.lengthMs
  worker.start()
  const gate = { open: true }
  ada?.process.run(() => void begin(world, ada, profile, gate))
  strikeAgainAndAgain(world, profile, until)
  await simulation.run(() => false, until)
  gate.open = false
}

async function begin(
  world: SimulatedWorld,
  ada: Person,
  profile: Profile,
  gate: { open: boolean },
): Promise<void> {
  const text = "please do the first"
  const sessionId = await ada.createSession(text)
  world.sessionId = sessionId
  for (const [index, manner] of profile.viewers.entries()) {
    const person = world.people[index % world.people.length]
    if (!person) continue
    const watcher = new Watcher(world.simulation, `viewer-${index}`, {
      network: world.network,
      room: world.room,
      web: world.web,
      sessionId,
      actor: person.actor,
      ...manner,
      onApplied: (applying, message) => checkFrame(world, applying, message),
    })
    world.watchers.push(watcher)
    watcher.open()
  }
  for (const person of world.people) {
    person.process.run(() => void actAgainAndAgain(world, person, profile, gate, sessionId))
  }
}

async function actAgainAndAgain(
  { simulation }: SimulatedWorld,
  person: Person,
  profile: Profile,
  gate: { open: boolean },
  sessionId: string,
): Promise<void> {
  for (;;) {
    await person.process.sleep(simulation.random.exponential(profile.deedEveryMs))
    if (!gate.open) return
    const deed = simulation.random.weighted(profile.deeds)
    person.isBusy = true
    await person.act(deed, sessionId)
    person.isBusy = false
  }
}

function strikeAgainAndAgain(world: SimulatedWorld, profile: Profile, until: number): void {
  const { simulation } = world
  const { random } = simulation
  simulation.after(random.exponential(profile.accidentEveryMs), () => {
    if (simulation.now >= until) return
    const accident = random.weighted(profile.accidents)
    const strikeNow = () => simulation.now < until && strike(world, accident)
    const moment = random.chance(0.5) ? random.pick(MOMENTS) : undefined
    if (moment === undefined) strikeNow()
    else simulation.onceNoted(moment, () => simulation.after(random.int(0, MOMENT_MS), strikeNow))
    strikeAgainAndAgain(world, profile, until)
  })
}

/** Nothing goes wrong from here on, and everybody comes back. */
function heal(
  { simulation, network, database, room, watchers }: SimulatedWorld,
  profile: Profile,
): void {
  simulation.note("healed")
  network.heal()
  database.isUp = true
  database.unconfirmed = 0
  room.isDoomed = false
  Object.assign(profile.machines, CALM)
  for (const watcher of watchers) watcher.open()
}

async function settle(world: SimulatedWorld): Promise<void> {
  const { simulation } = world
  const giveUpAt = simulation.now + SETTLE_MS
  for (;;) {
    await simulation.run(() => false, simulation.now + LOOK_EVERY_MS)
    const problem = await unsettled(world)
    if (problem === null) break
    if (simulation.now > giveUpAt)
      throw new Error(`[stuck] the session does not settle: ${problem}`)
  }
  await simulation.run(() => false, simulation.now + CALM_MS)
  const problem = await unsettled(world)
  if (problem !== null) return settle(world)
}

/** A session that failed while the world was broken works again once somebody wakes it. */
async function wakeIfAsleep(world: SimulatedWorld): Promise<void> {
  const { backend, sessionId, people } = world
  const [ada] = people
  if (sessionId === null || !ada) throw new Error("[stuck] the session was never created")
  const { status } = await backend.db.session.findUniqueOrThrow({ where: { id: sessionId } })
  world.simulation.note(`at rest: ${status}`)
  if (status !== "failed" && status !== "sleeping") return
  ada.isBusy = true
  const process = new SimulatedProcess(world.simulation, "waker")
  process.run(() =>
    ada.act("wake", sessionId).then(() => {
      ada.isBusy = false
    }),
  )
  await settle(world)
  const woken = await backend.db.session.findUniqueOrThrow({ where: { id: sessionId } })
  if (woken.status !== "idle") {
    throw new Error(
      `[stuck] woken in a sound world, the session is ${woken.status}: ${woken.statusReason}`,
    )
  }
}

/** A promise that breaks where nobody waits for it is a fault of whoever made it. */
function catchUnhandled(simulation: Simulation): () => void {
  const caught = (error: unknown) =>
    simulation.violate(`nobody waited for what broke: ${String(error)}`, error)
  process.on("unhandledRejection", caught)
  return () => void process.off("unhandledRejection", caught)
}
