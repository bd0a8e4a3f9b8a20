import * as z from "zod"

// Compiled parsers call `new Function`, which a strict Content-Security-Policy reports as a violation.
z.config({ jitless: true })

export { z }
