import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import {
  Arrivals,
  deliveriesPerSecond,
  eventText,
  startBareRelays,
  VIEWER_COUNTS,
} from "./fan-out.ts"
import { HOSTED_MODEL_MS, measureTurns, type Pairs } from "./first-token.ts"
import { cpuPerEventAsRoomsGrow, timePerEventAsLogGrows } from "./growth.ts"
import { type OurRooms, startOurRooms } from "./relays/our-room.ts"
import type { Relay } from "./relays/relay.ts"
import { type Bar, renderReport } from "./report.ts"
import { median, ratios } from "./statistics.ts"
import { steadyLatencyMs } from "./steady-latency.ts"
import { measureTranscript } from "./transcript.ts"

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 5)
/** A burst lasts a fifth of a second, too short for the median of five to mean much. */
const BURST_ROUNDS = 3 * ROUNDS
const LOG_SIZES = [100, 10_000, 100_000]
const MISSED = [10, 100, 1_000]
const CLOCK_TICKS_PER_SECOND = 100
const RESULTS = join(import.meta.dirname, "results.json")

const say = (line: string) => console.log(line)
const bars: Bar[] = []
const arrivals = new Arrivals()
const record = (bar: Bar) => {
  bars.push(bar)
  say(`${bar.holds ? "holds" : "MISSED"}  ${bar.id}  ${bar.what}: ${bar.measured} (bar ${bar.bar})`)
}

/** `npm run bench -- P2 P15` measures these alone and leaves the report's other rows as they are. */
const wanted = process.argv.slice(2)
const isWanted = (...ids: string[]) => wanted.length === 0 || ids.some((id) => wanted.includes(id))

if (isWanted("P3", "P4", "P7", "P15")) await relays()
if (isWanted("P2", "P5")) await turns()
if (isWanted("P6")) await transcript()

write(wanted.length === 0 ? [] : rowsOfOthers())
process.exit(bars.length > 0 && bars.every((bar) => bar.holds) ? 0 : 1)

function rowsOfOthers(): Bar[] {
  const known: Bar[] = JSON.parse(readFileSync(RESULTS, "utf8"))
  return known.filter(({ id }) => !bars.some((bar) => bar.id === id))
}

function write(others: Bar[]): void {
  const number = ({ id }: Bar) => Number(id.slice(1))
  const rows = [...others, ...bars].sort((a, b) => number(a) - number(b))
  writeFileSync(RESULTS, `${JSON.stringify(rows, null, 2)}\n`)
  writeFileSync(join(import.meta.dirname, "../../docs/benchmarks.md"), renderReport(rows, ROUNDS))
}

async function relays(): Promise<void> {
  const ours = await startOurRooms(arrivals.arrived)
  const bare = await startBareRelays(arrivals)
  if (isWanted("P3")) await fanOut(ours, bare)
  if (isWanted("P4")) await steady(ours, bare)
  if (isWanted("P7")) await reconnect(ours)
  if (isWanted("P15")) await growth(ours)
  await Promise.all([ours, ...bare].map((relay) => relay.close()))
}

async function fanOut(ours: OurRooms, bare: readonly Relay[]): Promise<void> {
  for (const viewers of VIEWER_COUNTS) {
    const rates = await interleaved(
      [ours, ...bare],
      (relay) => deliveriesPerSecond(relay, arrivals, viewers),
      BURST_ROUNDS,
    )
    for (const [name, least] of fanOutBars(viewers)) {
      const ratio = ratios(rates.get(ours.name) ?? [], rates.get(name) ?? [])
      const what = `deliveries per second to ${viewers} viewers, over ${name}`
      record({
        id: "P3",
        what,
        bar: `≥ ${least}×`,
        measured: times(ratio.median),
        ratio,
        holds: ratio.median >= least,
      })
    }
  }
}

function fanOutBars(viewers: number): [string, number][] {
  return viewers === 50
    ? [
        ["bare batched object", 0.7],
        ["bare object", 16],
        ["ws + SQLite", 1],
      ]
    : [["ws + SQLite", 1]]
}

async function steady(ours: OurRooms, bare: readonly Relay[]): Promise<void> {
  const batched = bare.find((relay) => relay.name === "bare batched object")
  if (!batched) throw new Error("The bare batched object is missing")
  for (const viewers of [1, 50]) {
    const p95 = await interleaved([ours, batched], (relay) =>
      steadyLatencyMs(relay, arrivals, viewers),
    )
    const ratio = ratios(p95.get(ours.name) ?? [], p95.get(batched.name) ?? [])
    const what = `p95 latency at 100 events/s to ${viewers} viewers, over bare batched object`
    record({
      id: "P4",
      what,
      bar: "≤ 1.5×",
      measured: times(ratio.median),
      ratio,
      holds: ratio.median <= 1.5,
    })
  }
}

async function reconnect(ours: OurRooms): Promise<void> {
  const room = await ours.open(1)
  const events = 1_500
  const all = arrivals.expect(events)
  for (let event = 0; event < events; event++) room.send([eventText(event)])
  await all
  const chars: number[] = []
  for (const missed of MISSED) chars.push(await room.charsToReconnect(missed))
  room.close()
  const [few = 0, , many = 0] = chars
  const perEvent = (many - few) / ((MISSED[2] ?? 0) - (MISSED[0] ?? 0))
  const what = `characters to reconnect after ${MISSED.join(" / ")} missed events of 500`
  record({
    id: "P7",
    what,
    bar: "proportional",
    measured: `${chars.join(" / ")} (${Math.round(perEvent)} per event)`,
    holds: few <= 0.2 * many && perEvent < 1_000,
  })
}

async function growth(ours: OurRooms): Promise<void> {
  const logs: number[][] = []
  for (let round = 0; round < Math.min(ROUNDS, 3); round++) {
    logs.push(await timePerEventAsLogGrows(ours, arrivals, LOG_SIZES))
  }
  const growths = ratios(
    logs.map((times) => times.at(-1) ?? Number.NaN),
    logs.map((times) => times[0] ?? Number.NaN),
  )
  const what = "time per event at 100,000 entries, over 100"
  record({
    id: "P15",
    what,
    bar: "≤ 1.2×",
    measured: times(growths.median),
    ratio: growths,
    holds: growths.median <= 1.2,
  })

  const { one, many } = await cpuPerEventAsRoomsGrow(ours, arrivals, () => groupCpuMs(ours))
  const ratio = many / one
  const rooms = "CPU per event with 500 rooms, over one room"
  record({ id: "P15", what: rooms, bar: "≤ 1.2×", measured: times(ratio), holds: ratio <= 1.2 })
}

async function turns(): Promise<void> {
  const { instant, hosted, paced, unpaced } = await measureTurns()
  recordFirstToken(instant, "a model that answers at once", null)
  recordFirstToken(hosted, `a model that takes ${HOSTED_MODEL_MS} ms`, 1.1)
  for (const [how, pairs] of [
    ["at 100 per second", paced] as const,
    ["unpaced", unpaced] as const,
  ]) {
    const bytes = ratios(
      pairs.ours.map((turn) => turn.bytes),
      pairs.bare.map((turn) => turn.bytes),
    )
    const what = `bytes for 1,000 tokens ${how}, over OpenCode's event stream`
    record({
      id: "P5",
      what,
      bar: "≤ 0.3×",
      measured: times(bytes.median),
      ratio: bytes,
      holds: bytes.median <= 0.3,
    })
  }
}

/** The bar in milliseconds is ours alone; the ratio is one to the wait that a person knows, the model's included. */
function recordFirstToken({ ours, bare }: Pairs, model: string, mostTimes: number | null): void {
  const our = ours.map((turn) => turn.firstTokenMs)
  const alone = bare.map((turn) => turn.firstTokenMs)
  const moreMs = median(our) - median(alone)
  const ratio = median(our) / median(alone)
  record({
    id: "P2",
    what: `prompt to first token on the viewer's socket, over bare OpenCode, ${model} (medians of ${our.length} turns)`,
    bar: mostTimes === null ? "≤ 50 ms more" : `≤ ${mostTimes}× and ≤ 50 ms more`,
    measured: `${times(ratio)}, ${Math.round(moreMs)} ms more`,
    ratio: ratios(our, alone),
    holds: ratio <= (mostTimes ?? Number.POSITIVE_INFINITY) && moreMs <= 50,
  })
}

async function transcript(): Promise<void> {
  const { wholeMs, firstPageMs, bareMs, entries } = await measureTranscript(ROUNDS)
  const ratio = ratios(wholeMs, bareMs)
  record({
    id: "P6",
    what: `whole transcript of ${entries} entries by the API into a viewer's log, over one bare read of its rows`,
    bar: "≤ 10×",
    measured: times(ratio.median),
    ratio,
    holds: ratio.median <= 10,
  })
  const first = ratios(firstPageMs, wholeMs)
  record({
    id: "P6",
    what: "first page, over the whole transcript",
    bar: "≤ 0.2×",
    measured: times(first.median),
    ratio: first,
    holds: first.median <= 0.2,
  })
}

/** Every relay once per round, so that what else the machine does falls on all alike. */
async function interleaved(
  relays: readonly Relay[],
  measure: (relay: Relay) => Promise<number>,
  rounds = ROUNDS,
): Promise<Map<string, number[]>> {
  const results = new Map(relays.map((relay) => [relay.name, [] as number[]]))
  for (let round = 0; round < rounds; round++) {
    for (const relay of relays) results.get(relay.name)?.push(await measure(relay))
  }
  return results
}

function groupCpuMs({ rooms }: OurRooms): number {
  let ticks = 0
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const stat = statOf(pid)
    if (stat && Number(stat[2]) === rooms.pid) ticks += Number(stat[11]) + Number(stat[12])
  }
  return (ticks * 1000) / CLOCK_TICKS_PER_SECOND
}

/** The fields after the command's name; null for a process that is gone. */
function statOf(pid: string): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8")
    return text.slice(text.lastIndexOf(")") + 2).split(" ")
  } catch {
    return null
  }
}

function times(ratio: number): string {
  return `${ratio.toFixed(2)}×`
}
