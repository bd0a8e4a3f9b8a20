import { migrateDatabase } from "../stack/migrate.ts"
import { seedDatabase } from "./seed-database.ts"
import { withDatabase, withoutPassword } from "./with-database.ts"

await withDatabase(async (url) => {
  await migrateDatabase(url)
  await seedDatabase(url)
  console.log(`Set up ${withoutPassword(url)}`)
})
