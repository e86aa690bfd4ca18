# shellcheck shell=bash
# Hantei's two images, built with BuildKit on this machine's base image.

IMAGES=(hantei/operator:dev hantei/evaluator:dev)

images() {
  local target
  choose_base_image
  say "base image: $BASE_IMAGE"
  for target in operator evaluator; do timed "build hantei/$target:dev" build_image "$target"; done
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
    # an image's id is the digest of its configuration; in Docker's containerd store, of its manifest
    id=$(docker image inspect -f '{{.Id}}' "$image")
    if [ "$id" = "$(node_config "$image")" ] || [ "$id" = "$(node_manifest "$image")" ]; then
      say "$image: $WORKER has it"
    else
      timed "load $image ($(megabytes "$image") MB) onto $WORKER" load_image "$image"
    fi
  done
}

on_worker() { docker exec "$WORKER" ctr --namespace=k8s.io "$@"; }

# node_manifest IMAGE: prints the digest of the manifest the node has under that name
node_manifest() { on_worker images ls "name==docker.io/$1" 2>/dev/null | awk -v n="docker.io/$1" '$1 == n {print $3}'; }

load_image() {
  local dir before after
  dir=$(scratch_dir load)
  before=$(node_config "$1")
  on_worker content ls -q 2>/dev/null >"$dir/held"
  docker save "$1" | python3 "$HACK/lib/thin_archive.py" "$dir/held" |
    docker exec -i "$WORKER" ctr --namespace=k8s.io images import --all-platforms - >"$CACHE/log/load" 2>&1
  # the node keeps a replaced image under its id; pods that run it keep their files
  after=$(node_config "$1")
  [ -z "$before" ] || [ "$before" = "$after" ] || on_worker images rm "$before" >/dev/null 2>&1 || true
}

# node_config IMAGE: prints the digest of the configuration of the image the node has under that name
node_config() {
  local manifest
  manifest=$(node_manifest "$1")
  [ -z "$manifest" ] || on_worker content get "$manifest" 2>/dev/null |
    python3 -c 'import json, sys; print(json.load(sys.stdin).get("config", {}).get("digest", ""))'
}
