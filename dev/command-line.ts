import { type ParseArgsConfig, parseArgs } from "node:util"

type Options = NonNullable<ParseArgsConfig["options"]>

/** The values of a program's options. Whatever else stands on its command line ends it with a sentence and `usage`. */
export function readOptions<const Known extends Options>(options: Known, usage: string) {
  try {
    return parseArgs({ options }).values
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error)
    return refuse(`${said.split(/\.(\s|$)/)[0]}. Usage: ${usage}`)
  }
}

/** Ends a program that takes no options when it is given some. */
export function takeNoOptions(usage: string): void {
  readOptions({}, usage)
}

/** The number that `--port` names, 0 for any; anything else ends the program with a sentence. */
export function portOption(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : -1
  if (port >= 0 && port <= 65_535) return port
  return refuse(`--port ${text} is not a port; give a number from 0 (any) to 65535.`)
}

/** Ends the program because of how it was called. */
export function refuse(sentence: string): never {
  console.error(sentence)
  process.exit(2)
}

/** Ends the program with what keeps it from its work. */
export function giveUp(error: unknown): never {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
}
