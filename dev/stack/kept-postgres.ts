import { launchPostgres, type Postgres } from "../postgres/launch.ts"

const WATCH_MS = 500

/** The stack's embedded PostgreSQL, started again whenever it dies. */
export class KeptPostgres {
  readonly #launch: () => Promise<Postgres>
  readonly #changed: () => void
  readonly #say: (line: string) => void
  #server: Postgres | undefined
  #watch: NodeJS.Timeout | undefined
  #relaunch: Promise<void> | undefined

  constructor(
    options: { dataDir: string; port: number },
    changed: () => void,
    say: (line: string) => void,
  ) {
    this.#launch = () => launchPostgres(options)
    this.#changed = changed
    this.#say = say
  }

  get pid(): number | null {
    return this.#server?.pid ?? null
  }

  /** Resolves to its address once it answers. */
  async start(): Promise<string> {
    const server = await this.#launch()
    this.#server = server
    this.#watch = setInterval(() => this.#check(), WATCH_MS)
    return server.url
  }

  async stop(): Promise<void> {
    clearInterval(this.#watch)
    // A launch that is under way would otherwise outlive this stop.
    await this.#relaunch
    await this.#server?.stop()
  }

  #check(): void {
    if (this.#relaunch || this.#server?.isAlive()) return
    this.#relaunch = this.#again().finally(() => {
      this.#relaunch = undefined
    })
  }

  async #again(): Promise<void> {
    try {
      this.#server = await this.#launch()
      this.#changed()
    } catch (error) {
      this.#say(
        `PostgreSQL does not start again: ${error instanceof Error ? error.message : error}`,
      )
    }
  }
}
