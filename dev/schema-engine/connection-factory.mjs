import { randomUUID } from "node:crypto"
import { PrismaPg } from "@prisma/adapter-pg"
import { ColumnTypeEnum } from "@prisma/driver-adapter-utils"
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
    readCatalogCharacters(connection)
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

/**
 * The adapter refuses columns of the catalog's internal type "char" (prisma/prisma#28145), which the engine reads and
 * wants as characters. They pass the adapter as text and get their type afterwards.
 */
function readCatalogCharacters(connection) {
  const characterColumns = new WeakMap()
  const { performIO, queryRaw } = connection
  connection.performIO = async (query) => {
    const result = await performIO.call(connection, query)
    const isCharacter = result.fields.map((field) => field.dataTypeID === CHAR)
    characterColumns.set(query, isCharacter)
    for (const [index, field] of result.fields.entries()) {
      if (isCharacter[index]) field.dataTypeID = TEXT
    }
    return result
  }
  connection.queryRaw = async (query) => {
    const set = await queryRaw.call(connection, query)
    const isCharacter = characterColumns.get(query)
    const columnTypes = set.columnTypes.map((type, index) =>
      isCharacter[index] ? ColumnTypeEnum.Character : type,
    )
    return { ...set, columnTypes }
  }
}
