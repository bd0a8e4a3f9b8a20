/**
 * Reads git's progress lines, which overwrite each other, and passes on at most one a second: "Receiving objects 45 %".
 */
export function cloneProgress(report: (detail: string) => void, now: () => number) {
  let reportedAt = Number.NEGATIVE_INFINITY
  let rest = ""
  return (text: string) => {
    const lines = (rest + text).split(/[\r\n]/)
    rest = lines.pop() ?? ""
    const newest = lines.map(describe).findLast((detail) => detail !== null)
    if (!newest || now() - reportedAt < 1_000) return
    reportedAt = now()
    report(newest)
  }
}

function describe(line: string): string | null {
  const match = /^(?:remote: )?(\w+ (?:objects|deltas|files)): +(\d+)% /.exec(line)
  return match ? `${match[1]} ${match[2]} %` : null
}
