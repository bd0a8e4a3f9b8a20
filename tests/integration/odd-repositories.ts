import { execFileSync } from "node:child_process"
import { mkdirSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { GitRepository } from "../../runner/src/testing/git-repository.ts"

/** A bare repository whose one branch has this many commits, made in seconds. */
export function makeHugeHistory(directory: string, commits: number): void {
  mkdirSync(directory, { recursive: true })
  execFileSync("git", ["init", "--quiet", "--bare", "--initial-branch=main", directory])
  const stream = Array.from({ length: commits }, (_, index) => {
    const message = `Change ${index + 1}`
    const text = `${index + 1}\n`
    return [
      "commit refs/heads/main",
      `committer Ada <ada@example.com> ${1_700_000_000 + index} +0000`,
      `data ${message.length}\n${message}`,
      `M 100644 inline files/${index % 100}.txt`,
      `data ${text.length}\n${text}`,
    ].join("\n")
  })
  execFileSync("git", ["fast-import", "--quiet"], { cwd: directory, input: stream.join("\n") })
}

export const ODD_NAMES = [
  "sp ace.txt",
  "新しい.md",
  "שלום.txt",
  "'single' \"double\".txt",
  "tab\there",
  "new\nline",
  "-dash",
  "*.glob",
  "back\\slash",
  "💥.txt",
  `${"long".repeat(60)}.txt`,
  "deep/er/and/deep er/er.txt",
]

export const LFS_POINTER =
  "version https://git-lfs.github.com/spec/v1\noid sha256:4665a5ea423c2713d436b5ee50593a9640e0018c1550b5a0002f74190d6caea8\nsize 5\n"

/** A repository with every kind of thing that tools trip over. */
export function makeOddRepository(directory: string, library: string): GitRepository {
  const inner = new GitRepository(library)
  inner.write("a", "a\n")
  inner.commit()
  const repository = new GitRepository(directory)
  for (const name of ODD_NAMES) repository.write(name, "x\n")
  repository.write("crlf.txt", "one\r\ntwo\r\n")
  repository.write("binary", new Uint8Array([0, 1, 2, 0xff, 0]))
  repository.write("latin1.txt", new Uint8Array([0x63, 0x61, 0x66, 0xe9, 0x0a]))
  repository.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
  repository.write("large.bin", LFS_POINTER)
  symlinkSync("/etc/passwd", join(directory, "escape"))
  symlinkSync("loop", join(directory, "loop"))
  symlinkSync("nowhere", join(directory, "dangling"))
  symlinkSync("sp ace.txt", join(directory, "link"))
  const local = ["-c", "protocol.file.allow=always"]
  repository.git(...local, "submodule", "add", "--quiet", inner.url, "library")
  repository.commit("Everything odd")
  return repository
}
