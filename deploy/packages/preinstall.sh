#!/bin/sh
# Makes the user before anything is unpacked, because files of the package belong to
# its group.
set -e
if ! getent passwd rota >/dev/null; then
	if command -v systemd-sysusers >/dev/null; then
		echo 'u rota - "Rota" /var/lib/rota' | systemd-sysusers -
	else
		getent group rota >/dev/null || groupadd --system rota
		useradd --system --gid rota --home-dir /var/lib/rota --no-create-home --shell /usr/sbin/nologin --comment Rota rota
	fi
fi
