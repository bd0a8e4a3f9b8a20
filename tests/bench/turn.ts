/** One prompt, as its asker saw it. */
export type Turn = {
  /** From asking to the first streamed text. */
  firstTokenMs: number
  /** Bytes that reached the asker until the turn was over. */
  bytes: number
}

/** Something that plays prompts one after another. */
export type TurnDriver = {
  play: (text: string) => Promise<Turn>
  close: () => Promise<void>
}

export function script(...steps: object[]): string {
  return `Play this.\n\n\`\`\`agent-script\n${JSON.stringify(steps)}\n\`\`\``
}
