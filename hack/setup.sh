#!/bin/sh
# Installs what the tests need on Debian when run as root; otherwise says what
# is missing and how to get it. Quick where everything is there.
set -u

missing=''
need() { missing="$missing $1"; }

if ! command -v go >/dev/null 2>&1; then
	echo "setup: Go 1.26 or later is missing (try: https://go.dev/doc/install)" >&2
	exit 1
fi
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null 2>&1 || need postgresql
command -v redis-server >/dev/null 2>&1 || need redis-server
command -v mariadbd >/dev/null 2>&1 || need mariadb-server
command -v sshd >/dev/null 2>&1 || [ -x /usr/sbin/sshd ] || need openssh-server
{ command -v pgbouncer || [ -x /usr/sbin/pgbouncer ]; } >/dev/null 2>&1 || need pgbouncer
[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || need rabbitmq-server
{ command -v slapd || [ -x /usr/sbin/slapd ]; } >/dev/null 2>&1 || need slapd
command -v man >/dev/null 2>&1 || need man-db
command -v systemd-analyze >/dev/null 2>&1 || need systemd
command -v jq >/dev/null 2>&1 || need jq
python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || need python3-venv

if [ -n "$missing" ]; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
		echo "setup: installing$missing" >&2
		log=$(mktemp)
		# shellcheck disable=SC2086
		if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
			tail -n 20 "$log" >&2
			rm -f "$log"
			echo "setup: could not install$missing" >&2
			exit 1
		fi
		rm -f "$log"
		missing=''
	else
		echo "setup: missing:$missing" >&2
		echo "setup: on Debian or Ubuntu: sudo apt-get install -y$missing" >&2
		echo "setup: tests that need them are skipped, and counted at the end" >&2
	fi
fi

if python3 -c 'import venv, ensurepip' >/dev/null 2>&1; then
	"$(dirname "$0")/testenv.sh" || {
		echo "setup: moto, checkov, the newest PostgreSQL or FerretDB could not be installed; tests that need them are skipped, and counted at the end" >&2
		missing="$missing testenv.sh"
	}
fi

"$(dirname "$0")/mysql.sh" || {
	echo "setup: MySQL could not be unpacked; tests that need it are skipped, and counted at the end" >&2
	missing="$missing mysql.sh"
}

# Building a Kubernetes control plane takes minutes: it's only done where no test may be
# skipped.
if [ "${ROTA_REQUIRE:-}" = all ]; then
	"$(dirname "$0")/controlplane.sh" >/dev/null || missing="$missing controlplane.sh"
elif [ ! -x "$("$(dirname "$0")/controlplane.sh" --where)/kube-apiserver" ]; then
	echo "setup: there's no Kubernetes control plane yet (try: make test-kubernetes); tests that need it are skipped, and counted at the end" >&2
fi

if [ -n "$missing" ] && [ "${ROTA_REQUIRE:-}" = all ]; then
	echo "setup: ROTA_REQUIRE=all, but missing:$missing" >&2
	exit 1
fi
exit 0
