import { seed } from "../../prisma/seed.ts"
import { connectDatabase } from "../../server/db.ts"

/** Adds the seed data that is missing and says how much it was. */
export async function seedDatabase(url: string): Promise<void> {
  const db = connectDatabase(url)
  try {
    const { sessions, entries } = await seed(db, new Date())
    console.log(
      sessions > 0
        ? `Added ${sessions} sessions with ${entries} entries.`
        : "The seed data is there already.",
    )
  } finally {
    await db.$disconnect()
  }
}
