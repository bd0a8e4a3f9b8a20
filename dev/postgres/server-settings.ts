/** A small machine shared with everything else: modest memory, no parallel plans, nothing given up of durability. */
const DEVELOPMENT = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "100",
  shared_buffers: "64MB",
  max_wal_size: "512MB",
  max_parallel_workers_per_gather: "0",
  jit: "off",
  timezone: "UTC",
  log_timezone: "UTC",
}

/** For databases that die with their test run: nothing waits for the disk. */
const THROWAWAY = {
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  wal_level: "minimal",
  max_wal_senders: "0",
  autovacuum: "off",
}

/** Command-line arguments of `postgres`, for a server inside its cluster directory. */
export function serverArguments(port: number, isThrowaway: boolean): string[] {
  const settings = { port: String(port), ...DEVELOPMENT, ...(isThrowaway ? THROWAWAY : {}) }
  return [
    "-D",
    "/proc/self/cwd",
    ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
  ]
}
