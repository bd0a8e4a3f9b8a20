import { BlockList, isIP } from "node:net"

/** Loopback, private, link-local, shared and unspecified addresses, by their registries' blocks. */
const PRIVATE = new BlockList()
for (const [network, prefix] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["224.0.0.0", 3],
] as const) {
  PRIVATE.addSubnet(network, prefix, "ipv4")
}
for (const [network, prefix] of [
  ["::", 127],
  ["64:ff9b::", 96],
  ["fc00::", 7],
  ["fe80::", 10],
  ["ff00::", 8],
] as const) {
  PRIVATE.addSubnet(network, prefix, "ipv6")
}

const PRIVATE_NAME = /(^|\.)(localhost|local|internal|home\.arpa)$/
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/

/** Whether a URL's `hostname` is this machine's own. */
export const isLoopback = (hostname: string): boolean => LOOPBACK.test(hostname)

/** Whether a URL's `hostname` names, as it is written, a machine of a private network. A name may still resolve to one. */
export function isPrivateHost(hostname: string): boolean {
  const host = hostname.replace(/\.$/, "")
  const address = host.replace(/^\[(.*)\]$/, "$1")
  const family = isIP(address)
  if (family === 0) return PRIVATE_NAME.test(host) || !host.includes(".")
  return PRIVATE.check(address, family === 4 ? "ipv4" : "ipv6")
}
