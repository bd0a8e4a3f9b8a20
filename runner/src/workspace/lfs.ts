import type { Git } from "./git.ts"

/**
 * Settings under which files kept in Git LFS stay the small pointer files that the repository holds. Without git-lfs
 * installed a configured filter would fail every checkout.
 */
const POINTERS_ONLY = ["process=", "smudge=", "clean=", "required=false"].map(
  (setting) => `--config=filter.lfs.${setting}`,
)

/** Settings for a new clone to keep: none where git-lfs is installed. */
export async function lfsSettings(git: Git): Promise<string[]> {
  const { code } = await git(["lfs", "version"])
  return code === 0 ? [] : POINTERS_ONLY
}
