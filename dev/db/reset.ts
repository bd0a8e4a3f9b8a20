import { migrateDatabase } from "../stack/migrate.ts"
import { dropSchemas, refuseElsewhere } from "./drop-schemas.ts"
import { seedDatabase } from "./seed-database.ts"
import { withDatabase, withoutPassword } from "./with-database.ts"

const isConfirmed = process.argv.includes("--yes")

await withDatabase(
  async (url) => {
    await dropSchemas(url)
    await migrateDatabase(url)
    await seedDatabase(url)
    console.log(`Reset ${withoutPassword(url)}`)
  },
  isConfirmed ? undefined : refuseElsewhere,
)
