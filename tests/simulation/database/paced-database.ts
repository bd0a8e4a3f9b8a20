import type { Database } from "../../../server/db.ts"
import { currentProcess, type SimulatedProcess } from "../kernel/simulated-process.ts"

/** What the world does to a statement or transaction of a process. */
export type DatabaseWeather = {
  /** How long it waits for its turn. */
  delayMs(): number
  /** `refused` before anything is done; `unconfirmed` is done, but its process hears of a lost connection. */
  fate(): "works" | "refused" | "unconfirmed"
}

/** PostgreSQL's connection is gone. */
class ConnectionLost extends Error {
  readonly code = "P1017"
}

/**
 * The database as simulated processes reach it. Each statement or transaction waits for its turn and then runs by
 * itself, as the session's lock sees to; a process that dies meanwhile never hears of it. `onDone` follows each.
 */
export function pacedDatabase(
  db: Database,
  weather: DatabaseWeather,
  onDone: () => void,
): Database {
  const pace = async <Result>(process: SimulatedProcess, work: () => Promise<Result>) => {
    await process.sleep(weather.delayMs())
    const fate = weather.fate()
    if (fate === "refused") throw new ConnectionLost("Can't reach database server")
    const done = process.world.outside(work)
    done.then(onDone, onDone)
    const result = await process.awaits(done)
    if (fate === "unconfirmed") throw new ConnectionLost("Connection terminated unexpectedly")
    return result
  }
  const paced = (target: object) => {
    return (_target: object, name: string | symbol): unknown => {
      const member: unknown = Reflect.get(target, name)
      if (typeof member === "function") {
        return (...args: unknown[]) => {
          const process = currentProcess()
          if (!process) throw new Error("the simulated database is used outside of the simulation")
          return pace(process, async () => await Reflect.apply(member, target, args))
        }
      }
      return typeof member === "object" && member !== null && name !== "fields"
        ? new Proxy(member, { get: paced(member) })
        : member
    }
  }
  const handler: ProxyHandler<Database> = { get: paced(db) }
  return new Proxy(db, handler)
}
