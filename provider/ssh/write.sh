# Puts what comes on standard input in the place of the file $path: all at once,
# and only if the file still is as it was read. $was is its checksum then ("none" if
# there was no file), $sum that of what comes. With $rehearse, everything is done but
# for the last step.
if [ -n "$home" ]; then
	eval "at=~$home"
	case $at in /*) ;; *) exit 22 ;; esac
	at=$(cd -P "$at" 2>/dev/null && pwd -P) || exit 22
	path=$at/$path
fi
dir=${path%/*}; base=${path##*/}
[ -n "$dir" ] || dir=/
if [ -n "$home" ] && [ ! -d "$dir" ]; then
	if [ -n "$rehearse" ]; then
		dir=$at
	else
		mkdir -m 700 "$dir" || exit 15
	fi
fi
cd -P "$dir" || exit 11
[ "$(pwd -P)" = "$dir" ] || exit 13
# A folder or a file with these attributes takes a new file next to it, but can't be
# cleaned up or replaced, not even by root.
if command -v lsattr >/dev/null 2>&1; then
	for at in . "./$base"; do
		[ -e "$at" ] || continue
		flags=$(lsattr -d "$at" 2>/dev/null) || continue
		case ${flags%% *} in
		*[ia]*) [ "$at" = . ] && at=$dir || at=$dir/$base; printf '%s\n' "$at" >&2; exit 23 ;;
		esac
	done
fi
new=.$base.rota-new.$$
lock=.$base.rota-lock
locked=
alive() { kill -0 "$1" 2>/dev/null || [ -d "/proc/$1" ]; }
mine() { [ "$(cat "./$lock/pid" 2>/dev/null)" = $$ ]; }
clean() {
	rm -f "./$new"
	[ -z "$locked" ] || ! mine || rm -rf "./$lock"
}
trap clean EXIT
trap 'exit 14' HUP INT TERM
for old in ".$base.rota-new."*; do # what a crash left behind
	pid=${old##*.}
	case $pid in
	'' | *[!0-9]*) ;;
	*) alive "$pid" || rm -f "./$old" ;;
	esac
done
set -C
: >"./$new" || exit 15
set +C
cat >"./$new" || exit 15
[ "$(cksum <"./$new")" = "$sum" ] || exit 16
tries=0
until mkdir "./$lock" 2>/dev/null; do
	[ -d "./$lock" ] || { mkdir "./$lock"; exit 15; }
	holder=$(cat "./$lock/pid" 2>/dev/null)
	tries=$((tries + 1))
	if [ -n "$holder" ] && ! alive "$holder" || [ -z "$holder" ] && [ "$tries" -gt 3 ]; then
		rm -rf "./$lock" && continue # only if it went: never around for good
	fi
	[ "$tries" -lt 8 ] || { printf '%s\n' "$holder" >&2; exit 19; }
	sleep 1
done
locked=yes
printf '%s\n' $$ >"./$lock/pid" || exit 15
if [ -h "./$base" ]; then
	exit 17
elif [ -e "./$base" ]; then
	[ "$(cksum <"./$base")" = "$was" ] || exit 17
else
	[ "$was" = none ] || exit 17
fi
if [ -n "$owner" ]; then
	chown "$owner" "./$new" || exit 18
fi
if [ -f "./$base" ]; then
	case $(ls -ld "./$base") in
	??????????+*)
		command -v getfacl >/dev/null && command -v setfacl >/dev/null || exit 20
		getfacl -cp "./$base" | setfacl --set-file=- "./$new" || exit 20
		;;
	??????????.*)
		chcon --reference="./$base" "./$new" || exit 21
		;;
	esac
fi
chmod "$mode" "./$new" || exit 18
sync "./$new" 2>/dev/null || :
mine || exit 17
[ -z "$rehearse" ] || { [ -w . ] || exit 15; exit 0; }
[ ! -d "./$base" ] || exit 17
mv -f "./$new" "./$base" || exit 15
sync . 2>/dev/null || :
