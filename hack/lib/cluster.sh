# shellcheck shell=bash
# The kind cluster: kept while it is healthy, made anew when it is not, with stand-in GPUs on the worker.

CLUSTER=hantei
WORKER=$CLUSTER-worker
GPUS=${LAB_GPUS:-4}

cluster() {
  local problem=
  choose_node_image
  mkdir -p "$LAB"
  if cluster_exists; then
    problem=$(cluster_problem "$NODE_IMAGE")
    if [ -z "$problem" ]; then
      say "cluster $CLUSTER: healthy, kept"
    else
      say "cluster $CLUSTER: $problem: making it anew"
      delete_cluster
    fi
  fi
  cluster_exists || timed "create cluster $CLUSTER from $NODE_IMAGE" create_cluster
  gpus
  say "cluster $CLUSTER: export KUBECONFIG=$KUBECONFIG"
}

cluster_exists() { "$BIN/kind" get clusters 2>/dev/null | grep -qx "$CLUSTER"; }

# cluster_problem IMAGE: prints what is wrong with the cluster, in a few words; nothing when it will do
cluster_problem() {
  local node state
  for node in "$CLUSTER-control-plane" "$WORKER"; do
    state=$(docker inspect -f '{{.State.Status}} {{.Config.Image}}' "$node" 2>/dev/null) || { echo "node $node is gone"; return; }
    [ "${state#* }" = "$1" ] || { echo "node $node runs ${state#* }, not $1"; return; }
    if [ "${state%% *}" != running ]; then
      say "starting node $node, which is ${state%% *}"
      docker start "$node" >/dev/null || { echo "node $node does not start"; return; }
    fi
  done
  "$BIN/kind" export kubeconfig --name "$CLUSTER" --kubeconfig "$KUBECONFIG" -q || { echo "it has no kubeconfig"; return; }
  eventually_answers || { echo "the API server does not answer"; return; }
  settled || echo "it does not settle"
}

eventually_answers() {
  local _
  for _ in $(seq 60); do
    "$BIN/kubectl" get --raw=/readyz --request-timeout=2s >/dev/null 2>&1 && return
    sleep 1
  done
  return 1
}

# settled: every node Ready, and what every pod needs (names, volumes) available
settled() {
  logged settle-nodes "$BIN/kubectl" wait --for=condition=Ready node --all --timeout=90s &&
    logged settle-schedulable "$BIN/kubectl" uncordon "$WORKER" &&
    logged settle-dns "$BIN/kubectl" -n kube-system rollout status deployment/coredns --timeout=120s &&
    logged settle-storage "$BIN/kubectl" -n local-path-storage rollout status deployment/local-path-provisioner --timeout=120s
}

create_cluster() {
  "$BIN/kind" create cluster --config "$ROOT/kind-config.yaml" --image "$NODE_IMAGE" --kubeconfig "$KUBECONFIG" --wait 120s
  settled
}

delete_cluster() { "$BIN/kind" delete cluster --name "$CLUSTER" --kubeconfig "$KUBECONFIG"; }

# gpus: stand-ins, which the real scheduler and kubelet hold pods to. A node that registers anew loses them: this gives them back.
gpus() {
  local have _
  have=$(allocatable_gpus)
  if [ "$have" != "$GPUS" ]; then
    "$BIN/kubectl" patch node "$WORKER" --subresource=status --type=json \
      -p "[{\"op\":\"add\",\"path\":\"/status/capacity/nvidia.com~1gpu\",\"value\":\"$GPUS\"}]" >/dev/null
    for _ in $(seq 60); do
      [ "$(allocatable_gpus)" = "$GPUS" ] && break
      sleep 0.5
    done
  fi
  [ "$(allocatable_gpus)" = "$GPUS" ] || die "$WORKER does not report $GPUS nvidia.com/gpu as allocatable"
  say "node $WORKER: $GPUS stand-in nvidia.com/gpu"
}

allocatable_gpus() { "$BIN/kubectl" get node "$WORKER" -o 'jsonpath={.status.allocatable.nvidia\.com/gpu}'; }
