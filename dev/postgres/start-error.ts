/** Why the embedded PostgreSQL is not there, in a sentence that says what to do. */
export class StartError extends Error {
  override name = "StartError"
}

const CAUSES: readonly [RegExp, string][] = [
  [
    /No space left on device|ENOSPC|Disk quota exceeded|EDQUOT/,
    "The disk is full. Free some space and start again; what was committed is kept.",
  ],
  [
    // Node reports a directory that cannot be made on a read-only file system as ENOENT.
    /Read-only file system|EROFS|ENOENT.*mkdir/,
    "The file system is read-only. Choose a writable home with AGENT_OPS_HOME.",
  ],
  [
    /Permission denied|EACCES|EPERM|wrong ownership/,
    "This account may not use the directory, perhaps because another account made it. Give it back with chown, or choose another home with AGENT_OPS_HOME.",
  ],
  [
    /ENOTDIR|EEXIST/,
    "A file is in the way of the directory. Move it, or choose another home with AGENT_OPS_HOME.",
  ],
  [
    /could not look up effective user ID/,
    "The account that runs this has no name in /etc/passwd, and PostgreSQL insists on one.",
  ],
  [
    /is not compatible with this version|database files are incompatible/,
    "The data was written by another version of PostgreSQL. Move the directory away, or start the version that wrote it.",
  ],
  [/^\s*$/, "Not even its log could be written, so the disk is probably full. Free some space."],
]

/** The sentence for a failure that `output` (a log, or an error's message) describes. */
export function startError(what: string, output: string): StartError {
  const cause = CAUSES.find(([pattern]) => pattern.test(output))?.[1]
  const lastLines = output.trim().split("\n").slice(-5).join("\n")
  return new StartError(
    (cause ? `${what}. ${cause}\n${lastLines}` : `${what}:\n${lastLines}`).trim(),
  )
}
