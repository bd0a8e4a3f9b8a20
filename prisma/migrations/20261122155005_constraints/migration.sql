-- What Prisma's schema cannot say. tests/integration/schema-drift.test.ts holds a row against each of these.

-- [D2] At most one claimed or running attempt of a session; steers join a running one.
CREATE UNIQUE INDEX "attempt_one_live" ON "Attempt" ("sessionId")
  WHERE "state" IN ('dispatched', 'running') AND NOT "steer";

-- One machine of a session at a time; the one before it may still be stopping.
CREATE UNIQUE INDEX "sandbox_one_live" ON "Sandbox" ("sessionId")
  WHERE "state" IN ('requested', 'starting', 'ready');

ALTER TABLE "Attempt"
  ADD CONSTRAINT "attempt_number_positive" CHECK ("number" >= 1),
  -- A prompt waits and is withdrawn; an attempt begins with its claim.
  ADD CONSTRAINT "attempt_state" CHECK (
    "state" IN ('dispatched', 'running', 'succeeded', 'failed', 'stopped', 'interrupted')
  ),
  ADD CONSTRAINT "attempt_end" CHECK (
    ("state" IN ('dispatched', 'running')) = ("endedAt" IS NULL)
  );

ALTER TABLE "Prompt"
  ADD CONSTRAINT "prompt_text_not_empty" CHECK ("text" <> ''),
  ADD CONSTRAINT "prompt_end" CHECK (
    ("state" IN ('queued', 'dispatched', 'running')) = ("endedAt" IS NULL)
  );

ALTER TABLE "Entry"
  ADD CONSTRAINT "entry_seq_order" CHECK ("firstSeq" >= 1 AND "seq" >= "firstSeq");

ALTER TABLE "Session"
  ADD CONSTRAINT "session_ended" CHECK (("status" = 'ended') = ("endedAt" IS NOT NULL)),
  ADD CONSTRAINT "session_counters" CHECK (
    "generation" >= 0
    AND "ingestedSeq" >= 0
    AND "announcedStatus" <= "statusVersion"
    AND "costMicros" >= 0
  );

ALTER TABLE "Grant"
  ADD CONSTRAINT "grant_role" CHECK ("role" IN ('operate', 'observe'));
