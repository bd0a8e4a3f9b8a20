#!/bin/sh
# Installs the system packages that are missing with apt where it can; else says the one command and goes on.
set -u

missing=""
command -v git >/dev/null 2>&1 || missing="$missing git"
command -v rg >/dev/null 2>&1 || missing="$missing ripgrep"
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then as_root="sudo -n"; fi

can_install() {
  command -v apt-get >/dev/null 2>&1 || return 1
  [ -z "$as_root" ] || $as_root true 2>/dev/null
}

apt() { $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@" </dev/null; }

if can_install; then
  echo "installing system packages:$missing"
  # The package lists may be absent (containers) or old, so one refusal is answered by refreshing them.
  # shellcheck disable=SC2086
  log=$(apt install -y --no-install-recommends $missing 2>&1) && exit 0
  # shellcheck disable=SC2086
  log=$( { apt update && apt install -y --no-install-recommends $missing; } 2>&1) && exit 0
  echo "$log" | tail -n 5
fi

echo "Not installed:$missing. Run \`sudo apt-get install -y$missing\` (or your system's equivalent)."
echo "Going on without: git is needed to open repositories, ripgrep makes the agent's searches fast."
