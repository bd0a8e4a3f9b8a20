/** JSON that no cache keeps. */
export function json(
  value: unknown,
  { status = 200, headers = {} }: { status?: number; headers?: Record<string, string> } = {},
): Response {
  return Response.json(value, { status, headers: { "cache-control": "no-store", ...headers } })
}
