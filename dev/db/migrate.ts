import { migrateDatabase } from "../stack/migrate.ts"
import { withDatabase, withoutPassword } from "./with-database.ts"

await withDatabase(async (url) => {
  await migrateDatabase(url)
  console.log(`Migrated ${withoutPassword(url)}`)
})
