import { SandboxError } from "./provider.ts"

export function isSystemError(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code))
}

/** What a person is told when the disk refuses; other errors are returned as they are. */
export function explainDiskError(error: unknown, directory: string): unknown {
  if (isSystemError(error, "ENOSPC", "EDQUOT")) {
    return new SandboxError(
      "disk-full",
      `The disk that holds ${directory} is full. Free some space, then try again.`,
      { cause: error },
    )
  }
  if (isSystemError(error, "EROFS", "EACCES", "EPERM", "ENOTDIR")) {
    return new SandboxError(
      "home-not-writable",
      `${directory} cannot be written to. Make it writable for this user, then try again.`,
      { cause: error },
    )
  }
  return error
}
