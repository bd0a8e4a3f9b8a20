import { accessSync, constants } from "node:fs"

export const isExecutable = (path: string) => allows(path, constants.X_OK)
export const isReadable = (path: string) => allows(path, constants.R_OK)

function allows(path: string, mode: number): boolean {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}
