import { migrateDatabase } from "../stack/migrate.ts"
import { seedDatabase } from "./seed-database.ts"
import { withDatabase } from "./with-database.ts"

await withDatabase(async (url) => {
  // Rows of this version need its tables; when they are there this is one query.
  await migrateDatabase(url)
  await seedDatabase(url)
})
