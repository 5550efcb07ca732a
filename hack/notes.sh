#!/bin/sh
# Prints the section of CHANGELOG.md for a version: hack/notes.sh v1.2.3
set -eu
version=${1#v}
if stray=$(grep -nE '^## ' "$(dirname "$0")/../CHANGELOG.md" | grep -vE '^[0-9]+:## (Unreleased|\[?[0-9])'); then
	echo "notes.sh: CHANGELOG.md has a section that is no version, and would end the one before it: $stray" >&2
	exit 1
fi
notes=$(awk -v version="$version" '
	/^## / { inside = ($2 == version || $2 == "[" version "]"); next }
	inside { print }
' "$(dirname "$0")/../CHANGELOG.md")
if [ -z "$(printf %s "$notes" | tr -d '[:space:]')" ]; then
	echo "notes.sh: CHANGELOG.md has no section \"## $version\" (try: rename its section Unreleased)" >&2
	exit 1
fi
printf '%s\n' "$notes"
