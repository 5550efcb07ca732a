#!/bin/sh
# dpkg calls it with "configure" and the version that was replaced, rpm with how many
# versions are installed now. A new installation isn't started: there's nothing to do
# until rota.yaml says so.
set -e
upgrade=no
case "$1" in
configure) [ -z "$2" ] || upgrade=yes ;;
abort-*) upgrade=yes ;;
*) [ "$1" -lt 2 ] 2>/dev/null || upgrade=yes ;;
esac

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
	[ "$upgrade" = no ] || systemctl try-restart rota.service rota-agent.service || true
fi
if [ "$upgrade" = no ]; then
	cat <<-'EOF'
	Rota is installed, but not started. Describe your rotations in /etc/rota/rota.yaml, then:
	  systemctl enable --now rota
	EOF
fi
