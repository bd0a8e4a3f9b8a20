import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import fc from "fast-check"
import { afterEach, beforeEach, expect, test } from "vitest"
import { promptIdSchema } from "#protocol/ids"
import { type JournalFiles, openJournal } from "./journal.ts"
import type { JournalRecord } from "./prompt/ports.ts"

let directory: string

beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), "journal-"))
})

afterEach(() => fs.rmSync(directory, { recursive: true, force: true }))

const quiet = () => undefined

function recordOf(attempts: number): JournalRecord {
  return {
    agentSessionId: "ses_1",
    toldChanges: false,
    attempts: Array.from({ length: attempts }, (_, index) => ({
      promptId: promptIdSchema.parse(`prm_${index}`),
      attempt: 1,
      generation: 1,
      turnId: promptIdSchema.parse(`prm_${index}`),
      messageId: `msg_${index}`,
      state: "running",
      error: null,
      claim: null,
      stopRequested: false,
    })),
  }
}

/** Files that crash before the given step; a write gets half way. */
function crashing(atStep: number): JournalFiles {
  let step = 0
  const crash = () => {
    step += 1
    if (step === atStep) throw new Error("crash")
  }
  return {
    openSync(...args: Parameters<typeof fs.openSync>) {
      crash()
      return fs.openSync(...args)
    },
    writeSync: ((file: number, bytes: Uint8Array, offset: number) => {
      const half = Math.ceil((bytes.length - offset) / 2)
      const written = fs.writeSync(file, bytes, offset, half)
      crash()
      return written
    }) as typeof fs.writeSync,
    fsyncSync(file) {
      crash()
      fs.fsyncSync(file)
    },
    closeSync: fs.closeSync,
  }
}

test("nothing is read before something was written", () => {
  expect(openJournal(join(directory, "a", "journal.json"), quiet).read()).toBeNull()
})

test("[D6] a crash at any step of a write leaves the old record or the new one, whole", () => {
  const path = join(directory, "journal.json")
  fc.assert(
    fc.property(fc.nat(5), fc.nat(5), fc.integer({ min: 1, max: 20 }), (before, after, atStep) => {
      const [old, next] = [recordOf(before), recordOf(after)]
      openJournal(path, quiet).write(old)
      let crashed = false
      try {
        openJournal(path, quiet, crashing(atStep)).write(next)
      } catch {
        crashed = true
      }
      const read = openJournal(path, quiet).read()
      if (crashed) expect([old, next]).toContainEqual(read)
      else expect(read).toEqual(next)
    }),
  )
})

test("[D6] a write that failed is not read, and the next one takes its place", () => {
  const path = join(directory, "journal.json")
  const [old, next] = [recordOf(1), recordOf(2)]
  openJournal(path, quiet).write(old)
  let isFull = false
  const journal = openJournal(path, quiet, {
    ...fs,
    fsyncSync: (file) => {
      if (isFull) throw new Error("ENOSPC")
      fs.fsyncSync(file)
    },
  })
  isFull = true
  expect(() => journal.write(next)).toThrow("ENOSPC")
  expect(journal.read()).toEqual(old)
  isFull = false
  journal.write(next)
  expect(openJournal(path, quiet).read()).toEqual(next)
})

test("an unreadable journal is set aside and said", () => {
  const path = join(directory, "journal.json")
  fs.writeFileSync(`${path}.0`, '{"attempts":')
  const said: string[] = []
  const journal = openJournal(path, (message) => said.push(message))
  expect(journal.read()).toBeNull()
  expect(said).toEqual(["the journal is unreadable and is set aside"])
  expect(fs.readFileSync(`${path}.0.unreadable`, "utf8")).toBe('{"attempts":')
  journal.write(recordOf(1))
  expect(openJournal(path, quiet).read()).toEqual(recordOf(1))
})
