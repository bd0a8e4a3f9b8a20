/** One JSON line in the Worker's log. Never content, tokens or keys. */
export function log(event: string, detail: Record<string, string | number>): void {
  console.log(JSON.stringify({ event, ...detail }))
}
