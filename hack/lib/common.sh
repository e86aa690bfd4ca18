# shellcheck shell=bash
# What every part of the lab shares: talking, timing, locking, and asking the machine for packages.

say() { printf '%s lab: %s\n' "$(date +%T)" "$*" >&2; }

die() { say "error: $*"; exit 1; }

# Functions run with errexit on: none of the two below may call its command in a condition, which would switch it off.
STEPS=() LOG=

# timed TITLE COMMAND...: says what begins and how long it took
timed() {
  local title=$1 start=$SECONDS
  shift
  STEPS+=("$title")
  say "$title ..."
  "$@"
  unset 'STEPS[-1]'
  say "$title: done in $((SECONDS - start)) s"
}

# logged NAME COMMAND...: output goes to a log file, whose end is shown when the command fails
logged() {
  local log=$CACHE/log/$1
  shift
  LOG=$log
  "$@" >"$log" 2>&1 </dev/null
  local rc=$? # not 0 only where the caller is itself part of a condition
  [ "$rc" -ne 0 ] || LOG=
  return "$rc"
}

# At exit: what failed, where, and the end of its log. A failing function exits with its output still redirected: speak on the first stderr.
exec 8>&2
report_failure() {
  local rc=$?
  exec 2>&8
  [ "$rc" -ne 0 ] || return 0
  [ -z "$LOG" ] || { tail -n 25 "$LOG" >&2; say "whole log: $LOG"; }
  [ ${#STEPS[@]} -eq 0 ] || say "failed (exit $rc) in: $(IFS='>'; printf '%s' "${STEPS[*]}")"
}
trap report_failure EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# One lab command at a time per cache. The kernel drops the lock with the last process that holds it,
# so an interrupted run leaves none behind; what outlives us (dockerd) must be started with 8>&- 9>&-.
take_lock() {
  exec 9>"$CACHE/lock"
  flock -n 9 && return
  say "another lab command is at work on $CACHE: waiting for it"
  flock 9
}

# scratch_dir NAME: an empty directory of ours; what an interrupted run left in it is removed first
scratch_dir() {
  local dir=$CACHE/tmp/$1
  unmount_below "$dir"
  as_root rm -rf --one-file-system "$dir"
  mkdir -p "$dir"
  printf '%s\n' "$dir"
}

# debootstrap, when it is killed, leaves /proc mounted
unmount_below() {
  local mounted
  while read -r mounted; do as_root umount -l "$mounted"; done < <(awk -v d="$1/" 'index($2, d) == 1 {print $2}' /proc/mounts)
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@" || die "'$*' needs root: run it as root, then run this again"; fi
}

# need_packages PACKAGE...: installs the Debian packages that are missing
need_packages() {
  local missing=() package
  for package in "$@"; do dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package"); done
  [ ${#missing[@]} -eq 0 ] && return
  command -v apt-get >/dev/null || die "these Debian packages, or what your system calls them, are needed: ${missing[*]}"
  printf '%s\n' "${missing[@]}" >>"$CACHE/packages"
  logged apt-update as_root apt-get update -q
  timed "apt-get install ${missing[*]}" logged apt-install as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q "${missing[@]}"
}
