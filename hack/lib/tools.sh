# shellcheck shell=bash
# The programs that tests and demo call, all in $BIN: the user's own where its version will do, else built.

# A user's program counts when it reports the same major and minor version as versions.env.
version_report() {
  case $2 in
    kind) "$1" version ;;
    kubectl) "$1" version --client ;;
    helm | helm4) "$1" version --short ;;
    *) "$1" --version ;;
  esac 2>/dev/null
}

will_do() { # will_do PROGRAM NAME VERSION
  local wanted=${3#v}
  version_report "$1" "$2" | grep -qE "v?${wanted%.*}\.[0-9]+"
}

# use_or_build NAME VERSION BUILD...: leaves $BIN/NAME, as a link to the user's program or as our own build
use_or_build() {
  local name=$1 version=$2 theirs
  shift 2
  built "$name" "$version" && [ ! -L "$BIN/$name" ] && return
  theirs=$(PATH=$USER_PATH command -v "${name%4}" || true)
  if [ -n "$theirs" ] && will_do "$theirs" "$name" "$version"; then
    ln -sfn "$theirs" "$BIN/$name"
    say "$name: using $theirs"
    return
  fi
  [ ! -L "$BIN/$name" ] || rm "$BIN/$name"
  "$@"
}

tools() {
  use_or_build kind "$KIND" go_tool kind sigs.k8s.io/kind "$KIND" sigs.k8s.io/kind
  use_or_build kubectl "$KUBERNETES" kube_tool kubectl
  use_or_build helm "$HELM3" go_tool helm helm.sh/helm/v3 "$HELM3" helm.sh/helm/v3/cmd/helm
  use_or_build helm4 "$HELM4" go_tool helm4 helm.sh/helm/v4 "$HELM4" helm.sh/helm/v4/cmd/helm
  use_or_build kwok "$KWOK" go_tool kwok sigs.k8s.io/kwok "$KWOK" sigs.k8s.io/kwok/cmd/kwok
  use_or_build etcd "$ETCD" etcd_tools
  local name
  for name in kube-apiserver kube-controller-manager kube-scheduler; do
    use_or_build "$name" "$KUBERNETES" kube_tool "$name"
  done
}
