/** An error that the SDKs of all three wire forms can read. */
export function refusal(status: number, reason: string, message: string): Response {
  return Response.json(
    { type: "error", error: { type: reason, code: reason, message } },
    { status },
  )
}
