import { randomUUID } from "node:crypto"
import { rename, writeFile } from "node:fs/promises"
import { setTimeout as delay } from "node:timers/promises"
import type { SandboxSpec } from "#protocol/sandbox-spec"
import { parseSandboxId, SandboxError, sandboxId } from "../provider.ts"
import { explainDiskError } from "../system-error.ts"
import {
  emptyTemporary,
  makeDirectory,
  type SandboxDirectory,
  sandboxDirectory,
} from "./directory.ts"
import { endMembers } from "./end-members.ts"
import { markerOf, sandboxEnvironment } from "./environment.ts"
import { changeHandle, claimHandle, type Handle, readHandle } from "./handle.ts"
import { launch } from "./launch.ts"
import { boundLog } from "./log-file.ts"
import { isAlive, type ProcessIdentity, readProcess } from "./process-table.ts"
import { mintRealtimeTag } from "./realtime-tag.ts"
import type { LocalSettings } from "./settings.ts"
import { terminateSandbox } from "./terminate-sandbox.ts"
import { findTools, type Tools } from "./tools.ts"

const POLL_MS = 50

export async function createSandbox(
  spec: SandboxSpec,
  settings: LocalSettings,
  signal: AbortSignal,
): Promise<void> {
  const tools = findTools(settings)
  const directory = sandboxDirectory(settings.home, spec.sessionId)
  try {
    await makeDirectory(directory)
    const handle = await claim(spec, directory, settings, signal)
    if (handle) await start(spec, handle, directory, settings, tools, signal)
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw explainDiskError(error, directory.root)
  }
}

/** Resolves with a handle of this create's own once no other sandbox of the session is left, or null when it runs. */
async function claim(
  spec: SandboxSpec,
  directory: SandboxDirectory,
  settings: LocalSettings,
  signal: AbortSignal,
): Promise<Handle | null> {
  const id = sandboxId(spec.sessionId, spec.generation)
  const fresh: Handle = {
    id,
    nonce: randomUUID(),
    state: "creating",
    creator: await thisProcess(),
    leader: null,
    realtimeTag: mintRealtimeTag(settings.prlimit),
    createdAtMs: Date.now(),
  }
  for (;;) {
    signal.throwIfAborted()
    const current = await readHandle(directory.handle)
    if (!current) {
      if (await claimHandle(directory.handle, fresh)) return fresh
      continue
    }
    refuseWhenNewer(current, spec)
    if (current.id === id && (await runs(current))) return null
    if (current.id === id && (await isBeingCreated(current))) {
      await delay(POLL_MS, undefined, { signal })
      continue
    }
    await terminateSandbox(settings, current.id)
  }
}

async function thisProcess(): Promise<ProcessIdentity> {
  const self = await readProcess(process.pid)
  return { pid: process.pid, startedAt: self?.startedAt ?? "" }
}

function refuseWhenNewer(current: Handle, spec: SandboxSpec): void {
  const newest = parseSandboxId(current.id)?.generation ?? 0
  if (newest <= spec.generation) return
  throw new SandboxError(
    "sandbox-superseded",
    `Generation ${newest} of this session's sandbox exists already, so ${spec.generation} is not created.`,
  )
}

async function runs({ state, leader }: Handle): Promise<boolean> {
  return state === "running" && leader !== null && (await isAlive(leader))
}

async function isBeingCreated({ state, creator }: Handle): Promise<boolean> {
  return state === "creating" && (await isAlive(creator))
}

async function start(
  spec: SandboxSpec,
  handle: Handle,
  directory: SandboxDirectory,
  settings: LocalSettings,
  tools: Tools,
  signal: AbortSignal,
): Promise<void> {
  let leader: ProcessIdentity | null = null
  try {
    await emptyTemporary(directory)
    await boundLog(directory.log)
    await writeSpec(spec, directory)
    signal.throwIfAborted()
    leader = await launch({
      command: [tools.bun, tools.runner],
      environment: sandboxEnvironment(handle.id, directory, tools, settings.path),
      directory,
      tag:
        settings.prlimit && handle.realtimeTag
          ? { prlimit: settings.prlimit, value: handle.realtimeTag }
          : null,
    })
    const recorded = await changeHandle(directory.handle, handle, { state: "running", leader })
    if (!recorded) {
      throw new SandboxError(
        "sandbox-terminated",
        "The sandbox was terminated while it was being created.",
      )
    }
    signal.throwIfAborted()
  } catch (error) {
    // By what this create knows itself: the handle may be gone, or not have been written.
    const { id, realtimeTag } = handle
    const sandbox = { marker: markerOf(id), realtimeTag, leader, directory: null }
    await endMembers(sandbox, settings.graceMs)
    await terminateSandbox(settings, handle.id)
    throw error
  }
}

/** Its tokens are for this user's eyes only. */
async function writeSpec(spec: SandboxSpec, directory: SandboxDirectory): Promise<void> {
  const draft = `${directory.spec}.draft`
  await writeFile(draft, JSON.stringify(spec), { mode: 0o600 })
  await rename(draft, directory.spec)
}
