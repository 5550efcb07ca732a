#!/bin/sh
# Makes the Python environment that some tests need: moto, an imitation of AWS,
# boto3 and AWS's command line. Does nothing where it is already there in these
# versions.
#
# It lies in $ROTA_TEST_VENV, or in rota-test/venv in the user's cache folder,
# where internal/testenv looks for it.
set -eu

requirements='moto[server]==5.2.5
boto3==1.44.5
awscli==1.46.2'

case "$(uname -s)" in
Darwin) cache="$HOME/Library/Caches" ;;
*) cache="${XDG_CACHE_HOME:-$HOME/.cache}" ;;
esac
venv="${ROTA_TEST_VENV:-$cache/rota-test/venv}"
stamp="$venv/rota-requirements.txt"

if [ -x "$venv/bin/moto_server" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$requirements" ]; then
	exit 0
fi

# Two runs at once would spoil each other's work; mkdir is the lock.
mkdir -p "$(dirname "$venv")"
lock="$venv.lock"
if ! mkdir "$lock" 2>/dev/null; then
	echo "testenv.sh: another run is at work (try: wait for it, or remove $lock if there is none)" >&2
	exit 1
fi
trap 'rm -rf "$lock"' EXIT
trap 'exit 1' INT TERM

echo "testenv.sh: making $venv" >&2
rm -rf "$venv"
python3 -m venv "$venv"
printf '%s\n' "$requirements" >"$lock/requirements.txt"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$lock/requirements.txt"
mv "$lock/requirements.txt" "$stamp" # last, so that a broken set-up is made anew
