# shellcheck shell=bash
# Programs built from Go modules, once per version. Every module is checked against the Go checksum database.

# A user's settings must neither switch that check off nor let our builds read a vendored tree.
export GOFLAGS='-mod=mod -modcacherw' GOSUMDB=sum.golang.org GONOSUMDB='' GOPRIVATE='' GOINSECURE='' CGO_ENABLED=0 GOWORK=off
# Modules and objects are 14 GB when everything was built: they lie apart from the user's and go once the cluster stands.
export GOMODCACHE=$CACHE/go/mod GOCACHE=$CACHE/go/build

drop_go_caches() { rm -rf "$CACHE/go"; }

need_go() {
  command -v go >/dev/null && return
  die "$1 is not on PATH and is built from source with Go: install Go 1.24 or newer (https://go.dev/dl), or install $1"
}

# built BINARY VERSION: a mark is written only after its binary is in place
built() { [ -x "$BIN/$1" ] && [ -e "$CACHE/mod/$1.$2" ]; }

# go_tool BINARY MODULE VERSION PACKAGE [LDFLAGS] [TAGS]
go_tool() {
  built "$1" "$3" && return
  need_go "$1"
  timed "build $1 $3" logged "build-$1" go_build "$@"
  touch "$CACHE/mod/$1.$3"
}

go_build() (
  set -e
  binary=$1 module=$2 version=$3 package=$4 ldflags=${5:-} tags=${6:-}
  work=$CACHE/mod/$binary
  rm -f "$work".v*
  rm -rf "$work" && mkdir -p "$work" && cd "$work"
  go mod init "lab/$binary"
  [ "$module" != k8s.io/kubernetes ] || pin_staging_modules "$version"
  go get "$module@$version"
  go build -trimpath -tags "$tags" -ldflags "-s -w $ldflags" -o "$work/$binary.new" "$package"
  mv "$work/$binary.new" "$BIN/$binary"
)

# k8s.io/kubernetes refers to its staging modules by path: point each at its own release instead
pin_staging_modules() {
  local gomod module
  gomod=$(go mod download -json "k8s.io/kubernetes@$1" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
  grep -oE '^\s+k8s.io/[a-z-]+ => \./staging' "$gomod" | awk '{print $1}' | while read -r module; do
    go mod edit -replace "$module=$module@v0.${1#v1.}"
  done
}

# module_dir MODULE VERSION: where the module's source lies, checked like everything else
module_dir() {
  local work=$CACHE/tmp/module
  mkdir -p "$work"
  (cd "$work" && { [ -e go.mod ] || go mod init lab/module 2>/dev/null; } && go mod download -json "$1@$2") | sed -n 's/.*"Dir": "\(.*\)".*/\1/p'
}

kube_tool() {
  local version=k8s.io/component-base/version minor=${KUBERNETES#v1.}
  go_tool "$1" k8s.io/kubernetes "$KUBERNETES" "k8s.io/kubernetes/cmd/$1" \
    "-X $version.gitVersion=$KUBERNETES -X $version.gitMajor=1 -X $version.gitMinor=${minor%%.*} -X k8s.io/client-go/pkg/version.gitVersion=$KUBERNETES"
}

containerd_tools() {
  local module=github.com/containerd/containerd/v2 tool
  for tool in containerd ctr containerd-shim-runc-v2; do
    go_tool "$tool" "$module" "$CONTAINERD" "$module/cmd/$tool" "-X $module/version.Version=$CONTAINERD" "no_aufs no_zfs no_btrfs no_devmapper"
  done
  built runc "$RUNC" || need_packages gcc libc6-dev pkg-config libseccomp-dev
  CGO_ENABLED=1 go_tool runc github.com/opencontainers/runc "$RUNC" github.com/opencontainers/runc "" seccomp
}

etcd_tools() {
  go_tool etcd go.etcd.io/etcd/server/v3 "$ETCD" go.etcd.io/etcd/server/v3
  go_tool etcdctl go.etcd.io/etcd/etcdctl/v3 "$ETCD" go.etcd.io/etcd/etcdctl/v3
}
