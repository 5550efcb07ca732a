#!/bin/sh
# Runs make vault unless the same inputs have passed on this machine before: compiling
# Vault takes about eight minutes of processor time, and provider/vault rarely changes.
# The inputs are provider/vault with its go.sum, what it's built from in this module with
# the files embedded there, and the version of Go. Those that passed are remembered
# beside the tools.
set -eu

cd "$(dirname "$0")/.."
go=${GO:-go}
if command -v sha256sum >/dev/null; then
	sum() { sha256sum | cut -c 1-32; }
else
	command -v shasum >/dev/null || { echo "vault: neither sha256sum nor shasum is installed" >&2; exit 1; }
	sum() { shasum -a 256 | cut -c 1-32; }
fi

# What the suite is built from in this module, without Vault itself.
module=$("$go" list -m)
sources=$(cd provider/vault/realtest && "$go" list -trimpath -test -deps -f "{{if and .Module (eq .Module.Path \"$module\")}}{{\$dir := .Dir}}{{.Dir}}{{range .EmbedFiles}}
{{\$dir}}/{{.}}{{end}}{{end}}" ./...)
hash=$({
	"$go" version
	{
		printf '%s\n' "$sources" | sort -u | while read -r path; do
			[ -z "$path" ] || find "$path" -maxdepth 1 -type f \( -name '*.go' -o -path "$path" \)
		done
		find provider/vault -type f
	} | sort -u | while read -r file; do printf '%s ' "$file" && sum <"$file"; done
} | sed "s|$PWD/||" | sum)
marker="$("$go" env GOCACHE)/rota-tools/vault-$hash"
if [ -e "$marker" ]; then
	echo "vault: passed on this machine with the same sources, go.sum and Go ($hash), so it isn't run again"
	exit
fi
echo "vault: not passed on this machine with these sources, go.sum and Go ($hash), so it's run"
"${MAKE:-make}" vault
mkdir -p "${marker%/*}"
: >"$marker"
