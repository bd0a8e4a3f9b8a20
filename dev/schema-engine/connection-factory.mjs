import { randomUUID } from "node:crypto"
import { PrismaPg } from "@prisma/adapter-pg"
import pg from "pg"
import { connectionConfig, createDatabase, dropDatabase, onDatabase } from "./databases.mjs"

/** Opens the database and its shadow databases for the WASM engine. */
export class ConnectionFactory extends PrismaPg {
  #datasource
  /** What PostgreSQL said of the last script that failed. */
  scriptError

  constructor(datasource) {
    const { url } = datasource
    super(
      { ...connectionConfig(url ?? ""), max: 4 },
      { schema: url && (new URL(url).searchParams.get("schema") ?? undefined) },
    )
    this.#datasource = datasource
  }

  async connect() {
    const connection = await super.connect()
    connection.executeScript = (script) => this.#executeWhole(connection, script)
    return connection
  }

  /** The named shadow database, else a new one that is dropped after use. */
  async connectToShadowDb() {
    const { url, shadowDatabaseUrl } = this.#datasource
    if (shadowDatabaseUrl) return new ConnectionFactory({ url: shadowDatabaseUrl }).connect()
    const shadowUrl = onDatabase(url, `prisma_migrate_shadow_db_${randomUUID()}`)
    await createDatabase(shadowUrl)
    const connection = await new ConnectionFactory({ url: shadowUrl }).connect()
    const close = connection.dispose.bind(connection)
    connection.dispose = async () => {
      await close()
      await dropDatabase(shadowUrl)
    }
    return connection
  }

  /**
   * The adapter splits a script at every semicolon, which breaks function bodies. Like the native engine this sends
   * it whole; PostgreSQL runs it as one transaction unless it opens its own.
   */
  async #executeWhole(connection, script) {
    try {
      await connection.underlyingDriver().query(script)
    } catch (error) {
      this.scriptError = error
      connection.onError(error)
    }
  }
}

const CHAR = 18
const TEXT = 25
const CHAR_ARRAYS = [1002, 1003]
const TEXT_ARRAY = 1009

/**
 * The adapter refuses columns of the catalog's internal type "char", which the engine reads (prisma/prisma#27403).
 * They are text to it.
 */
const addFields = pg.Result.prototype.addFields
pg.Result.prototype.addFields = function addFieldsWithCharAsText(fields) {
  for (const field of fields) {
    if (field.dataTypeID === CHAR) field.dataTypeID = TEXT
    if (CHAR_ARRAYS.includes(field.dataTypeID)) field.dataTypeID = TEXT_ARRAY
  }
  return addFields.call(this, fields)
}
