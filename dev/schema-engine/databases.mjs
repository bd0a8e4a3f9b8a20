import pg from "pg"

export async function canConnect(url) {
  await withClient(url, (client) => client.query("select 1"))
}

export async function createDatabase(url) {
  const databaseName = databaseOf(url)
  await withClient(onDatabase(url, "postgres"), (client) =>
    client.query(`create database ${pg.escapeIdentifier(databaseName)}`),
  )
  return { databaseName }
}

export async function dropDatabase(url) {
  await withClient(onDatabase(url, "postgres"), (client) =>
    client.query(`drop database if exists ${pg.escapeIdentifier(databaseOf(url))} with (force)`),
  )
}

export function databaseOf(url) {
  return decodeURIComponent(new URL(url).pathname.slice(1))
}

/** The same server and account, another database. */
export function onDatabase(url, database) {
  const other = new URL(url)
  other.pathname = `/${encodeURIComponent(database)}`
  return other.href
}

/**
 * What `pg` needs to connect. Prisma's `?schema=` is no parameter of PostgreSQL's: it becomes the search path of
 * every connection.
 */
export function connectionConfig(url) {
  const plain = new URL(url)
  const schema = plain.searchParams.get("schema")
  plain.searchParams.delete("schema")
  if (!schema) return { connectionString: plain.href }
  const searchPath = pg.escapeIdentifier(schema).replaceAll(/[\\ ]/g, "\\$&")
  return { connectionString: plain.href, options: `-c search_path=${searchPath}` }
}

async function withClient(url, use) {
  const client = new pg.Client(connectionConfig(url))
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}
