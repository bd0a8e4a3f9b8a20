import { expect, test } from "vitest"
import { isLoopback, isPrivateHost } from "./private-hosts.ts"

const hostOf = (url: string) => new URL(url).hostname

test.each([
  "https://localhost/x",
  "https://git.localhost/x",
  "https://127.0.0.1/x",
  "https://2130706433/x",
  "https://0x7f.1/x",
  "https://10.0.0.5/x",
  "https://172.31.255.1/x",
  "https://192.168.1.1/x",
  "https://169.254.169.254/x",
  "https://100.100.100.100/x",
  "https://[::1]/x",
  "https://[::]/x",
  "https://[::ffff:10.0.0.5]/x",
  "https://[fd00::1]/x",
  "https://[fe80::1]/x",
  "https://metadata.google.internal/x",
  "https://printer.local/x",
  "https://intranet/x",
  "https://localhost./x",
])("%s is a private network's", (url) => {
  expect(isPrivateHost(hostOf(url))).toBe(true)
})

test.each([
  "https://github.com/x",
  "https://localhost.example/x",
  "https://internal.example.com/x",
  "https://8.8.8.8/x",
  "https://172.32.0.1/x",
  "https://[2606:4700::1111]/x",
])("%s is not", (url) => {
  expect(isPrivateHost(hostOf(url))).toBe(false)
})

test("only this machine's own names are loopback", () => {
  const own = ["http://localhost:3000", "http://127.8.0.1", "http://[::1]:80"].map(hostOf)
  expect(own.map(isLoopback)).toEqual([true, true, true])
  const others = ["http://localhost.example", "http://127.0.0.1.example", "http://10.0.0.1"].map(
    hostOf,
  )
  expect(others.map(isLoopback)).toEqual([false, false, false])
})
