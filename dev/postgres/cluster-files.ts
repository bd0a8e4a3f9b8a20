import { randomBytes } from "node:crypto"
import { chmod, mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises"
import { basename, join, resolve } from "node:path"
import { serverAccount } from "./account.ts"
import { StartError, startError } from "./start-error.ts"

/** What lives in a data directory. Everything about one server is inside, so removing it removes all. */
export type ClusterFiles = {
  dataDir: string
  /** PGDATA, owned by the server's account. */
  cluster: string
  /** The superuser's password, readable by the launching account only. */
  password: string
  /** Names under which the server's libraries look for each other. */
  libraries: string
  log: string
}

export function clusterFiles(dataDir: string): ClusterFiles {
  const root = resolve(dataDir)
  return {
    dataDir: root,
    cluster: join(root, "cluster"),
    password: join(root, "password"),
    libraries: join(root, "lib"),
    log: join(root, "postgres.log"),
  }
}

export async function makeDataDir({ dataDir }: ClusterFiles): Promise<void> {
  try {
    await mkdir(dataDir, { recursive: true })
  } catch (error) {
    throw startError(`${dataDir} cannot be used for PostgreSQL`, String(error))
  }
}

/** Accepts a directory that is empty or was made here. One launcher at a time: another's is half made meanwhile. */
export async function openDataDir(files: ClusterFiles): Promise<void> {
  try {
    const names = await readdir(files.dataDir)
    const isOurs = names.some((name) => name.startsWith("password"))
    // A launcher makes this directory first, and may have died then.
    if (!isOurs && names.some((name) => name !== basename(files.libraries))) {
      throw new StartError(
        `${files.dataDir} holds other things. Choose an empty or new directory for PostgreSQL.`,
      )
    }
    // The server's account passes through to its cluster, and can list or read nothing else.
    await chmod(files.dataDir, serverAccount() ? 0o711 : 0o700)
  } catch (error) {
    if (error instanceof StartError) throw error
    throw startError(`${files.dataDir} cannot be used for PostgreSQL`, String(error))
  }
}

export async function readPassword(files: ClusterFiles): Promise<string> {
  try {
    return (await readFile(files.password, "utf8")).trim()
  } catch (error) {
    throw startError(`The password of ${files.dataDir} cannot be read`, String(error))
  }
}

/** Whole or not at all: a password cut short would lock everybody out of the cluster made with it. */
export async function writePassword(files: ClusterFiles): Promise<void> {
  const draft = `${files.password}.new`
  await writeFile(draft, randomBytes(24).toString("base64url"), { mode: 0o600, flush: true })
  await rename(draft, files.password)
}
