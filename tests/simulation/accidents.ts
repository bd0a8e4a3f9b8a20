import type { Channel } from "./kernel/channel.ts"
import { type Condition, FAIR, ROUTES } from "./kernel/network.ts"
import type { Accident } from "./profile.ts"
import type { SimulatedWorld } from "./simulated-world.ts"

const LONGEST_OUTAGE_MS = 20_000

/** Lets one thing go wrong; what does not end by itself ends a while later. */
export function strike(world: SimulatedWorld, accident: Accident): void {
  world.simulation.note(`accident: ${accident}`)
  world.simulation.count(accident)
  STRIKES[accident](world)
}

const STRIKES: Record<Accident, (world: SimulatedWorld) => void> = {
  "connection breaks": ({ room, simulation }) =>
    simulation.random.pick<Channel>(room.channels())?.break(),
  "route is lossy": (world) => disturb(world, { loss: percent(world, 5, 50) }),
  "route is slow": (world) => disturb(world, { delayMs: world.simulation.random.int(100, 4_000) }),
  "route repeats": (world) => disturb(world, { repeat: percent(world, 10, 80) }),
  "route is down": (world) => disturb(world, { down: true }),
  "room crashes": (world) => world.room.crash(downMs(world)),
  "room dies amid effects": ({ room }) => {
    room.isDoomed = true
  },
  "room hibernates": ({ room }) => room.hibernate(),
  "web crashes": (world) => world.web.crash(downMs(world)),
  "worker crashes": (world) => world.worker.crash(downMs(world)),
  "runner is killed": ({ machines }) => machines.current?.crash(),
  "machine is lost": ({ machines }) => {
    if (machines.current) machines.lose(machines.current)
  },
  "agent dies": ({ machines }) => machines.current?.killAgent(),
  "database is away": ({ database, simulation }) => {
    database.isUp = false
    simulation.after(simulation.random.int(100, LONGEST_OUTAGE_MS), () => {
      database.isUp = true
    })
  },
  "viewer comes or goes": ({ watchers, simulation }) => {
    const watcher = simulation.random.pick(watchers)
    if (watcher?.isWatching) watcher.close()
    else watcher?.open()
  },
  "viewer reloads": ({ watchers, simulation }) => {
    const watcher = simulation.random.pick(watchers)
    watcher?.forget()
    watcher?.open()
  },
  "everything crashes": (world) => {
    world.room.crash(downMs(world))
    world.web.crash(downMs(world))
    world.worker.crash(downMs(world))
    world.machines.current?.crash()
  },
}

function downMs({ simulation: { random } }: SimulatedWorld): number {
  return random.pick([0, random.int(1, 500), random.int(500, 4_000)])
}

const percent = ({ simulation }: SimulatedWorld, min: number, max: number) =>
  simulation.random.int(min, max) / 100

function disturb({ simulation, network }: SimulatedWorld, trouble: Partial<Condition>): void {
  const route = simulation.random.pick(ROUTES)
  network.change(route, trouble)
  simulation.after(simulation.random.int(200, LONGEST_OUTAGE_MS * 2), () =>
    network.change(route, FAIR),
  )
}
