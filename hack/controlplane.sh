#!/bin/sh
# Builds a Kubernetes control plane for the tests: etcd, kube-apiserver and
# kube-controller-manager, from the Go modules that hack/controlplane/go.mod pins.
# Does nothing where they were built from the same go.sum before. It prints the folder
# that they're in.
#
#   hack/controlplane.sh          build what's missing: a quarter of an hour of processor time
#   hack/controlplane.sh --where  print the folder, whether it's there or not
#
# They lie in rota-test/controlplane-<hash> in the user's cache folder, where
# internal/testenv looks for them.
set -eu

case "$(uname -s)" in
Darwin) cache="$HOME/Library/Caches" ;;
*) cache="${XDG_CACHE_HOME:-$HOME/.cache}" ;;
esac
module="$(cd "$(dirname "$0")" && pwd)/controlplane"
hash=$({ sha256sum 2>/dev/null || shasum -a 256; } <"$module/go.sum" | cut -c 1-16)
dir="$cache/rota-test/controlplane-$hash"
if [ "${1:-}" = --where ] || [ -x "$dir/kube-apiserver" ]; then
	echo "$dir"
	exit
fi

version=$(sed -n 's/^.*k8s.io\/kubernetes v\([0-9.]*\).*$/\1/p' "$module/go.mod")
major=${version%%.*}
minor=${version#*.}
minor=${minor%%.*}
echo "controlplane.sh: building Kubernetes $version into $dir, which takes a while" >&2
mkdir -p "$cache/rota-test"
work=$(mktemp -d "$cache/rota-test/controlplane-new-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
v=k8s.io/component-base/version
cd "$module"
GOWORK=off CGO_ENABLED=0 "${GO:-go}" build -mod=readonly -trimpath -buildvcs=false \
	-ldflags "-s -w -X $v.gitVersion=v$version -X $v.gitMajor=$major -X $v.gitMinor=$minor -X $v.gitTreeState=clean" \
	-o "$work/" go.etcd.io/etcd/server/v3 k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kube-controller-manager
mv "$work/server" "$work/etcd"
mv "$work" "$dir" 2>/dev/null || [ -x "$dir/kube-apiserver" ] # another run at once makes the same
echo "$dir"
