import { createTRPCClient, httpBatchLink } from "@trpc/client"
import type { AppRouter } from "./trpc/root.ts"

export type { AppRouter }

/** The server takes no more calls in one request. */
const MAX_BATCH = 50
/** Servers refuse a head of 16 KB, which the URL shares with the other headers. */
const MAX_URL_CHARS = 8_000

/**
 * A typed client of the API for tools: `url` is the product's address, `apiKey` one of its keys.
 *
 * @example
 * const api = apiClient({ url: "https://agents.example.com", apiKey })
 * const session = await api.session.create.mutate({ repoUrl, prompt: "Fix the failing test" })
 */
export function apiClient({ url, apiKey }: { url: string; apiKey: string }) {
  return createTRPCClient<AppRouter>({
    links: [
      httpBatchLink({
        url: new URL("/api/trpc", url).href,
        maxItems: MAX_BATCH,
        maxURLLength: MAX_URL_CHARS,
        headers: { authorization: `Bearer ${apiKey}` },
      }),
    ],
  })
}
