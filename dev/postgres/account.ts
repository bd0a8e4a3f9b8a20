const NOBODY = 65_534

/** The account PostgreSQL runs as, when it is not the caller's own. */
export type ServerAccount = { uid: number; gid: number }

/** PostgreSQL refuses to run as root, so root lends it the unprivileged `nobody`. */
export function serverAccount(): ServerAccount | undefined {
  return process.geteuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : undefined
}
