#!/bin/sh
# Stops the daemon and the agent when the package goes, but not when another version takes its place.
set -e
case "$1" in
upgrade | failed-upgrade | 1) exit 0 ;;
esac
if [ -d /run/systemd/system ]; then
	systemctl --no-reload disable --now rota.service rota-agent.service || true
fi
