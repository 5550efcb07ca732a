#!/bin/sh
# The store and the master key stay, whatever happens: without them, nobody can read
# the credentials in use.
set -e
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
fi
case "$1" in
purge | 0)
	if [ -n "$(ls -A /var/lib/rota 2>/dev/null)" ]; then
		echo 'Rota is gone, but /var/lib/rota is still there, with the store and the master key. Delete it, and the user rota, once nobody needs the credentials in it.'
	fi
	;;
esac
