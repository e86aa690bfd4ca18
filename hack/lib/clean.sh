# shellcheck shell=bash
# Takes back everything the lab made on this machine. Debian packages it installed stay, and are named.

clean() {
  if docker info >/dev/null 2>&1; then
    [ ! -x "$BIN/kind" ] || ! cluster_exists || timed "delete cluster $CLUSTER" delete_cluster
    timed "remove images" remove_images
  fi
  stop_engine
  [ ! -s "$CACHE/packages" ] || say "Debian packages the lab installed, which stay: $(sort -u "$CACHE/packages" | tr '\n' ' ')"
  say "removing $CACHE and $LAB"
  unmount_below "$CACHE/tmp"
  as_root rm -rf --one-file-system "$LAB" "$CACHE"
}

remove_images() {
  local images=("${IMAGES[@]}" "$BUILT_NODE_IMAGE" "$NODE_BASE_IMAGE" "$PROVISIONER_IMAGE" "$ROUTES_IMAGE") id
  docker rm -f "$BUILD_CONTAINER" >/dev/null 2>&1 || true
  # the component images carry the lab's label; what was pulled is not ours to remove
  while read -r id; do images+=("$id"); done < <(docker image ls -q --filter label=dev.hantei.lab=node)
  if [ -x "$BIN/kubeadm" ]; then
    while read -r id; do images+=("$id"); done < <("$BIN/kubeadm" config images list --kubernetes-version "$KUBERNETES" 2>/dev/null)
    images+=("registry.k8s.io/pause:$PAUSE")
  fi
  images+=("$DEBIAN_IMAGE")
  for id in "${images[@]}"; do docker image rm -f "$id" >/dev/null 2>&1 || true; done
  if our_dockerd >/dev/null; then docker builder prune -af >/dev/null
  else say "BuildKit's cache, which may hold layers of other projects, stays: docker builder prune"; fi
}
