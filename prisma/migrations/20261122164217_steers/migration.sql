-- AlterTable
ALTER TABLE "Attempt" ADD COLUMN     "hostNumber" INTEGER,
ADD COLUMN     "hostPromptId" TEXT;

-- CreateIndex
CREATE INDEX "Attempt_hostPromptId_hostNumber_idx" ON "Attempt"("hostPromptId", "hostNumber");

-- AddForeignKey
ALTER TABLE "Attempt" ADD CONSTRAINT "Attempt_hostPromptId_hostNumber_fkey" FOREIGN KEY ("hostPromptId", "hostNumber") REFERENCES "Attempt"("promptId", "number") ON DELETE CASCADE ON UPDATE CASCADE;

-- [D14] A steer names its host attempt, whole.
ALTER TABLE "Attempt" ADD CONSTRAINT "attempt_host" CHECK (
  "steer" = ("hostPromptId" IS NOT NULL) AND "steer" = ("hostNumber" IS NOT NULL)
);
