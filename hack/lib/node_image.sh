# shellcheck shell=bash
# The image of a cluster node: kindest/node, or the same built from kind's own files, Go modules and Debian packages.

BUILT_NODE_IMAGE=local/kind-node:$KUBERNETES
NODE_BASE_IMAGE=local/kind-node-base:$KUBERNETES
PROVISIONER_IMAGE=local/local-path-provisioner:1
ROUTES_IMAGE=local/ptp-routes:1
BUILD_CONTAINER=hantei-node-build

# choose_node_image: sets NODE_IMAGE to the one this machine uses
choose_node_image() {
  if image_exists "$KIND_NODE_IMAGE"; then NODE_IMAGE=$KIND_NODE_IMAGE
  elif image_exists "$BUILT_NODE_IMAGE"; then NODE_IMAGE=$BUILT_NODE_IMAGE
  elif pulled "$KIND_NODE_IMAGE"; then NODE_IMAGE=$KIND_NODE_IMAGE
  else
    say "kindest/node can't be pulled here: it is built (20 minutes on 2 cores when nothing is cached)"
    timed "build $BUILT_NODE_IMAGE" build_node_image
    NODE_IMAGE=$BUILT_NODE_IMAGE
  fi
}

build_node_image() {
  local images=()
  debian_image
  use_or_build kind "$KIND" go_tool kind sigs.k8s.io/kind "$KIND" sigs.k8s.io/kind
  node_programs
  component_images
  mapfile -t images < <("$BIN/kubeadm" config images list --kubernetes-version "$KUBERNETES")
  images+=("registry.k8s.io/pause:$PAUSE" "$PROVISIONER_IMAGE" "$ROUTES_IMAGE" "$DEBIAN_IMAGE")
  timed "node base" node_base
  timed "preload ${#images[@]} images" preload_images "${images[@]}"
}

node_programs() {
  local name
  for name in kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubeadm; do kube_tool "$name"; done
  [ ! -L "$BIN/kubectl" ] || rm "$BIN/kubectl"
  kube_tool kubectl
  containerd_tools
  etcd_tools
  go_tool coredns github.com/coredns/coredns "$COREDNS" github.com/coredns/coredns
  go_tool local-path-provisioner github.com/rancher/local-path-provisioner "$LOCAL_PATH_PROVISIONER" github.com/rancher/local-path-provisioner
  need_packages gcc libc6-dev
  gcc -static -Os -DVERSION="$PAUSE" -o "$BIN/pause" "$(module_dir k8s.io/kubernetes "$KUBERNETES")/build/pause/linux/pause.c"
}

# The names kubeadm and containerd ask for, each image one program.
component_images() {
  local list name pause
  list=$("$BIN/kubeadm" config images list --kubernetes-version "$KUBERNETES")
  say "component images"
  for name in kube-apiserver kube-controller-manager kube-scheduler; do
    program_image "registry.k8s.io/$name:$KUBERNETES" scratch "$BIN/$name"
  done
  program_image "registry.k8s.io/kube-proxy:$KUBERNETES" "$DEBIAN_IMAGE" "$BIN/kube-proxy"
  for pause in "registry.k8s.io/pause:$PAUSE" "$(grep /pause: <<<"$list")"; do program_image "$pause" scratch "$BIN/pause"; done
  program_image "$(grep /etcd: <<<"$list")" scratch "$BIN/etcd" "$BIN/etcdctl"
  program_image "$(grep /coredns: <<<"$list")" scratch "$BIN/coredns"
  program_image "$PROVISIONER_IMAGE" scratch "$BIN/local-path-provisioner"
  program_image "$ROUTES_IMAGE" "$DEBIAN_IMAGE" "$HACK/node/ptp_routes.py"
}

# program_image NAME BASE PROGRAM [MORE...]: an image that runs PROGRAM
program_image() {
  local name=$1 base=$2 dir
  shift 2
  dir=$(scratch_dir program-image)
  install -D -m 755 -t "$dir/bin" "$@"
  printf 'FROM %s\nCOPY bin/ /usr/local/bin/\nENTRYPOINT ["/usr/local/bin/%s"]\n' "$base" "$(basename "$1")" >"$dir/Dockerfile"
  logged program-image docker build -q --label dev.hantei.lab=node -t "$name" "$dir"
}
