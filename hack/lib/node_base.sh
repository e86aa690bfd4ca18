# shellcheck shell=bash
# The two halves of a built node image: its file system, and the images containerd holds before the first start.

node_base() {
  local kind dir
  kind=$(module_dir sigs.k8s.io/kind "$KIND")
  dir=$(scratch_dir node-base)
  cp -r "$kind/images/base/files" "$dir/files"
  chmod -R u+w "$dir"
  mkdir -p "$dir/files/usr/bin" "$dir/files/usr/local/bin" "$dir/files/kind/manifests"
  cp "$BIN"/{containerd,ctr,containerd-shim-runc-v2,runc} "$dir/files/usr/local/bin/"
  cp "$BIN"/{kubeadm,kubelet,kubectl} "$dir/files/usr/bin/"
  printf '%s\n' "$KUBERNETES" >"$dir/files/kind/version"
  # a host without CAP_SYS_RESOURCE can't lower oom_score_adj, and containers would not start
  sed -i 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' "$dir/files/etc/containerd/config.toml"
  cp "$HACK/node/default-cni.yaml" "$dir/files/kind/manifests/"
  storage_manifest "$kind" >"$dir/files/kind/manifests/default-storage.yaml"
  cp "$HACK/node/Dockerfile" "$dir/"
  logged node-base docker build --progress=plain --label dev.hantei.lab=node -t "$NODE_BASE_IMAGE" --build-arg BASE="$DEBIAN_IMAGE" "$dir"
  scratch_dir node-base >/dev/null
}

# kind keeps its storage class's manifest as a Go constant with two image names spliced in
storage_manifest() {
  # shellcheck disable=SC2016 # the backquotes are Go's
  sed -n '/^const defaultStorageManifest = `/,/^`/p' "$1/pkg/build/nodeimage/const_storage.go" | sed '1d;$d' |
    sed "s|\` + storageProvisionerImage + \`|$PROVISIONER_IMAGE|; s|\` + storageHelperImage + \`|$DEBIAN_IMAGE|"
}

# preload_images IMAGE...: containerd runs in a container of the base, imports them, and the container becomes the image
preload_images() {
  local _
  docker rm -f "$BUILD_CONTAINER" >/dev/null 2>&1 || true
  docker run -d --name "$BUILD_CONTAINER" --security-opt seccomp=unconfined --entrypoint sleep "$NODE_BASE_IMAGE" infinity >/dev/null
  docker exec --privileged -d "$BUILD_CONTAINER" containerd
  for _ in $(seq 60); do
    docker exec --privileged "$BUILD_CONTAINER" ctr info >/dev/null 2>&1 && break
    sleep 0.5
  done
  docker save "$@" | docker exec --privileged -i "$BUILD_CONTAINER" \
    ctr -n k8s.io images import --label=io.cri-containerd.pinned=pinned --all-platforms --no-unpack --digests - >"$CACHE/log/preload"
  docker exec "$BUILD_CONTAINER" bash -c 'kill $(pidof containerd); while pidof containerd >/dev/null; do sleep 0.1; done'
  docker commit --change 'ENTRYPOINT [ "/usr/local/bin/entrypoint", "/sbin/init" ]' "$BUILD_CONTAINER" "$BUILT_NODE_IMAGE" >/dev/null
  docker rm -f "$BUILD_CONTAINER" >/dev/null
}
