import { createMember, createOwner } from "../../server/testing/factories.ts"
import type { Backend } from "./database/backend.ts"
import { pacedDatabase } from "./database/paced-database.ts"
import { Network } from "./kernel/network.ts"
import type { Simulation } from "./kernel/simulation.ts"
import { Machines } from "./parts/machines.ts"
import { type Deeds, noDeeds, Person } from "./parts/person.ts"
import { RoomNode } from "./parts/room-node.ts"
import { serverContext, Web } from "./parts/server.ts"
import type { Watcher } from "./parts/watcher.ts"
import { Worker } from "./parts/worker.ts"
import type { Profile } from "./profile.ts"

const STATEMENT_MS = 4

/** All parts of the product around one session, in one process, on one clock. */
export type SimulatedWorld = {
  simulation: Simulation
  network: Network
  backend: Backend
  /** PostgreSQL as the processes reach it. */
  database: { isUp: boolean; unconfirmed: number }
  room: RoomNode
  machines: Machines
  web: Web
  worker: Worker
  people: Person[]
  watchers: Watcher[]
  deeds: Deeds
  /** The session's id, once somebody knows it. */
  sessionId: string | null
}

export async function buildWorld(
  simulation: Simulation,
  backend: Backend,
  profile: Profile,
): Promise<SimulatedWorld> {
  await backend.clear()
  const network = new Network(simulation)
  const database = { isUp: true, unconfirmed: profile.unconfirmed }
  const room = new RoomNode(simulation, network)
  const machines = new Machines(simulation, { network, room, temper: profile.machines })
  const { random } = simulation
  const db = pacedDatabase(
    backend.db,
    {
      delayMs: () => random.int(0, STATEMENT_MS),
      fate: () => {
        if (!database.isUp) return "refused"
        return random.chance(database.unconfirmed) ? "unconfirmed" : "works"
      },
    },
    () => worker.notice(),
  )
  const context = serverContext(simulation, { db, network, room, provider: machines.provider })
  const worker = new Worker(simulation, context, backend.jobs)
  const web = new Web(simulation, context)
  room.server = web
  const deeds = noDeeds()
  const direct = { ...context, db: backend.db }
  const owner = await createOwner(direct, "Ada")
  const member = await createMember(direct, owner.teamId, { name: "Grace" })
  const people = [owner, member].map(
    (actor) => new Person(simulation, { actor, network, web, deeds }),
  )
  return {
    simulation,
    network,
    backend,
    database,
    room,
    machines,
    web,
    worker,
    people,
    watchers: [],
    deeds,
    sessionId: null,
  }
}
