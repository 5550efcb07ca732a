#!/bin/sh
# Builds the image of what goreleaser has built into dist: the same version, the same
# programs.
#
#   hack/image.sh              dist/image, for both architectures
#   hack/image.sh linux_amd64  for one; nothing if it's another system's
#   hack/image.sh '' REPOSITORY  pushes it, too
set -eu
cd "$(dirname "$0")/.."
case "${1:-}" in
'') platforms=linux/amd64,linux/arm64 ;;
linux_*) platforms=linux/${1#linux_} ;;
*) exit 0 ;;
esac
version=$(sed -n 's/.*"version":"\([^"]*\)".*/\1/p' dist/metadata.json)
revision=$(sed -n 's/.*"commit":"\([^"]*\)".*/\1/p' dist/metadata.json)
created=$(TZ=UTC0 git log -1 --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ "$revision")
source=$PWD
dist=$PWD/dist
bin=$PWD/bin
mkdir -p "$bin"
(cd deploy/release && GOOS='' GOARCH='' CGO_ENABLED=0 "${GO:-go}" build -trimpath -o "$bin/image" ./image)
"$bin/image" -source "$source" -out "$dist/image" -version "v$version" -revision "$revision" -created "$created" \
	-platforms "$platforms" -push "${2:-}" >"$dist/image.digest"
cat "$dist/image.digest"
