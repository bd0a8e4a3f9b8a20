import * as z from "zod"

// Compiled parsers call `new Function`, which a page's strict Content-Security-Policy reports as a violation.
if ("document" in globalThis) z.config({ jitless: true })
