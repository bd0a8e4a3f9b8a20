import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { configDirectory } from "./environment.ts"

const pluginPackage = "@opencode-ai/plugin"

/**
 * Keeps OpenCode from installing its plugin package from the registry at each start: it leaves a configuration
 * directory alone that has `node_modules` and a lock naming the package. We load no plugins, so nothing misses it.
 */
export async function skipPluginInstall(home: string): Promise<void> {
  const directory = configDirectory(home)
  const root = { name: "opencode-config", dependencies: { [pluginPackage]: "*" } }
  await mkdir(join(directory, "node_modules"), { recursive: true })
  await writeNew(join(directory, "package.json"), root)
  const lock = { ...root, lockfileVersion: 3, packages: { "": root } }
  await writeNew(join(directory, "package-lock.json"), lock)
}

/** A home that has its own configuration keeps it. */
async function writeNew(path: string, content: object): Promise<void> {
  await writeFile(path, JSON.stringify(content), { flag: "wx" }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error
    },
  )
}
