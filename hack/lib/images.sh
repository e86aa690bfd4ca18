# shellcheck shell=bash
# Hantei's two images, built with BuildKit on this machine's base image.

IMAGES=(hantei/operator:dev hantei/evaluator:dev)

images() {
  local target
  choose_base_image
  say "base image: $BASE_IMAGE"
  for target in ${LAB_IMAGES:-operator evaluator}; do timed "build hantei/$target:dev" build_image "$target"; done
  # an image that a new build has replaced is only disk space
  docker image prune -f --filter label=org.opencontainers.image.title=hantei-operator >/dev/null
  docker image prune -f --filter label=org.opencontainers.image.title=hantei-evaluator >/dev/null
}

build_image() {
  local secret=() bundle=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
  [ ! -s "$bundle" ] || secret=(--secret "id=ca,src=$bundle")
  LOG=$CACHE/log/image-$1
  docker buildx build --builder default --load --progress=plain --provenance=false --target "$1" --build-arg "BASE=$BASE_IMAGE" \
    "${secret[@]}" -t "hantei/$1:dev" "$ROOT" 2>&1 </dev/null | tee "$LOG" |
    awk '/^#[0-9]+ \[/ && !seen[$0]++ { sub(/^#[0-9]+ /, "    "); print substr($0, 1, 120); fflush() }' >&2
  LOG=
  say "hantei/$1:dev: $(megabytes "hantei/$1:dev") MB, $(($(megabytes "hantei/$1:dev") - $(megabytes "$BASE_IMAGE"))) MB over its base"
}

megabytes() { echo $(($(docker image inspect -f '{{.Size}}' "$1") / 1000000)); }

# load: onto the worker alone, where every pod of ours runs; the evaluator takes 10 GB of disk per node
load() {
  local image id
  for image in "${IMAGES[@]}"; do
    id=$(docker image inspect -f '{{.Id}}' "$image")
    if node_has "$image" "$id"; then
      say "$image: $WORKER has it"
    else
      timed "load $image ($(megabytes "$image") MB) onto $WORKER" load_image "$image"
    fi
  done
  logged node-prune on_worker images prune --all
}

on_worker() { docker exec -i "$WORKER" ctr --namespace=k8s.io "$@"; }

# node_has IMAGE ID: an image's id is the digest of its configuration, which its manifest on the node names
node_has() {
  local manifest
  manifest=$(on_worker images ls "name==docker.io/$1" 2>/dev/null | awk -v n="docker.io/$1" '$1 == n {print $3}')
  [ -n "$manifest" ] || return 1
  [ "$manifest" = "$2" ] || on_worker content get "$manifest" | grep -q "$2"
}

load_image() { docker save "$1" | on_worker images import --all-platforms --digests - >"$CACHE/log/load"; }
