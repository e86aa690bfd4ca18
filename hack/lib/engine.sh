# shellcheck shell=bash
# The Docker engine: the one that answers, else our own, built from Go modules and started.

engine() {
  command -v docker >/dev/null || die "the docker command is missing: install Docker (https://docs.docker.com/engine/install), or just its CLI"
  if ! docker info >/dev/null 2>&1; then
    [ "$(uname -s)" = Linux ] || die "no Docker engine answers: start Docker"
    build_engine
    start_engine
  fi
  need_buildx
  say "engine: Docker $(docker version -f '{{.Server.Version}}'), cgroup v$(docker info -f '{{.CgroupVersion}}')"
}

build_engine() {
  local module=github.com/moby/moby/v2
  need_packages iptables pigz
  containerd_tools
  go_tool dockerd "$module" "$MOBY" "$module/cmd/dockerd"
  go_tool docker-proxy "$module" "$MOBY" "$module/cmd/docker-proxy"
}

need_buildx() {
  docker buildx version >/dev/null 2>&1 && return
  go_tool docker-buildx github.com/docker/buildx "$BUILDX" github.com/docker/buildx/cmd/buildx
  mkdir -p ~/.docker/cli-plugins
  ln -sfn "$BIN/docker-buildx" ~/.docker/cli-plugins/docker-buildx
}

start_engine() {
  [ -e /var/lib/docker ] || touch "$CACHE/made-var-lib-docker"
  say "starting dockerd ($CACHE/log/dockerd)"
  # its own session, and without our files open: it outlives this command
  as_root env PATH="$PATH" setsid nohup "$BIN/dockerd" --feature containerd-snapshotter=false \
    --userland-proxy-path "$BIN/docker-proxy" >"$CACHE/log/dockerd" 2>&1 </dev/null 8>&- 9>&- &
  local _
  for _ in $(seq 120); do
    docker info >/dev/null 2>&1 && return
    sleep 0.5
  done
  tail -n 20 "$CACHE/log/dockerd" >&2
  die "dockerd did not answer within 60 s"
}

# our_dockerd: prints the process id of the dockerd that runs from $BIN, if one does
our_dockerd() {
  local pid
  pid=$(cat /var/run/docker.pid 2>/dev/null) || return 1
  [ "$(as_root readlink "/proc/$pid/exe")" = "$BIN/dockerd" ] && printf '%s\n' "$pid"
}

stop_engine() {
  local pid _
  pid=$(our_dockerd) || return 0
  say "stopping dockerd ($pid)"
  as_root kill "$pid"
  for _ in $(seq 60); do [ -e "/proc/$pid" ] || break; sleep 0.5; done
  [ ! -e "$CACHE/made-var-lib-docker" ] || as_root rm -rf --one-file-system /var/lib/docker
  [ "$(readlink ~/.docker/cli-plugins/docker-buildx)" != "$BIN/docker-buildx" ] || rm ~/.docker/cli-plugins/docker-buildx
}

image_exists() { docker image inspect "$1" >/dev/null 2>&1; }

# pulled IMAGE: true when the image is here or its registry hands it over. The short question comes first,
# because a pull that can't succeed may hang for minutes.
pulled() {
  image_exists "$1" && return
  timeout 20 docker manifest inspect "$1" >/dev/null 2>&1 || return 1
  say "pull $1 ..."
  timeout 1200 docker pull -q "$1" >&2
}
