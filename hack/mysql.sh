#!/bin/sh
# Unpacks a MySQL server for the tests. Debian's releases have MariaDB only, but
# its unstable distribution has MySQL. Nothing is installed: apt fetches the
# server and the libraries it needs, with lists and a status of their own, and
# they are unpacked into a folder, where they run with their own loader. Does
# nothing where that is already there.
#
# The folder is rota-test/mysql in the user's cache folder, or $ROTA_TEST_MYSQL.
# internal/testenv looks for it there.
set -eu

dest="${ROTA_TEST_MYSQL:-${XDG_CACHE_HOME:-$HOME/.cache}/rota-test/mysql}"
if [ -x "$dest/usr/sbin/mysqld" ]; then
	exit 0
fi
if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-deb >/dev/null 2>&1; then
	echo "mysql.sh: only Debian's packages can be unpacked here" >&2
	exit 1
fi
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Label: Debian' | sort -u | head -n 1)
if [ -z "$mirror" ]; then
	echo "mysql.sh: apt knows no mirror of Debian (try: apt-get update)" >&2
	exit 1
fi

mkdir -p "$(dirname "$dest")"
work=$(mktemp -d "$(dirname "$dest")/mysql-making-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/root"
: >"$work/status"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" >"$work/sources.list"
own_apt() {
	apt-get -q -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists="$work/lists" \
		-o Dir::State::status="$work/status" -o Dir::Cache="$work/cache" -o Debug::NoLocking=1 -o APT::Sandbox::User= -o APT::Install-Recommends=0 "$@"
}
echo "mysql.sh: unpacking MySQL into $dest" >&2
if ! { own_apt update && own_apt install -y --download-only mysql-server-core; } >"$work/log" 2>&1; then
	tail -n 20 "$work/log" >&2
	exit 1
fi
for package in "$work"/cache/archives/*.deb; do
	case "$package" in
	*/perl* | */libperl*) continue ;; # for the scripts beside the server
	esac
	dpkg-deb -x "$package" "$work/root"
done
"$work"/root/usr/lib/*/ld-linux-*.so.* --library-path "$(echo "$work"/root/usr/lib/*-linux-*)" "$work/root/usr/sbin/mysqld" --no-defaults --version >/dev/null
rm -rf "$work/root/usr/share/doc" "$work/root/usr/share/man" "$work/root/usr/share/locale" "$work/root/usr/share/icu"
mv -T "$work/root" "$dest" 2>/dev/null || [ -x "$dest/usr/sbin/mysqld" ] # another run may have been faster
