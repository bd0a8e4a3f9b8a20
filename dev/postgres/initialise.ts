import { spawn } from "node:child_process"
import { chown, mkdir, rename, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import { serverAccount } from "./account.ts"
import { type ClusterFiles, readPassword, writePassword } from "./cluster-files.ts"
import { asServer, type Runtime } from "./runtime.ts"
import { startError } from "./start-error.ts"

/**
 * Makes the cluster under another name and renames it when it is complete, so a launcher that dies on the way
 * leaves nothing that looks like a cluster. Text is UTF-8 and sorts by code point on every machine.
 */
export async function initialise(files: ClusterFiles, runtime: Runtime, isThrowaway: boolean) {
  const draft = `${files.cluster}.new`
  const passwordCopy = join(files.dataDir, "password.initdb")
  try {
    await writePassword(files)
    await rm(draft, { recursive: true, force: true })
    await mkdir(draft, { mode: 0o700 })
    await writeFile(passwordCopy, await readPassword(files), { mode: 0o600 })
    const account = serverAccount()
    if (account) {
      await chown(draft, account.uid, account.gid)
      await chown(passwordCopy, account.uid, account.gid)
    }
    await runInitdb(runtime, draft, isThrowaway)
    await rename(draft, files.cluster)
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    throw startError(`No database could be made in ${files.dataDir}`, String(error))
  } finally {
    await rm(passwordCopy, { force: true })
  }
}

async function runInitdb(runtime: Runtime, directory: string, isThrowaway: boolean) {
  const initdb = spawn(
    runtime.initdb,
    [
      "--pgdata=/proc/self/cwd",
      "--username=postgres",
      "--pwfile=../password.initdb",
      "--auth=scram-sha-256",
      "--encoding=UTF8",
      "--locale=C",
      "--locale-provider=builtin",
      "--builtin-locale=C.UTF-8",
      ...(isThrowaway ? ["--no-sync"] : []),
    ],
    { ...asServer(runtime, directory), stdio: ["ignore", "pipe", "pipe"] },
  )
  const output = Promise.all([text(initdb.stdout), text(initdb.stderr)])
  const code = await new Promise((resolve, reject) => {
    initdb.once("error", reject)
    initdb.once("close", resolve)
  })
  if (code !== 0) throw new Error((await output).join("\n"))
}
