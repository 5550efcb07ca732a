# Prints what is at $path: the folders that lead to it, the file, and its content.
# $max is the most that is read.
if [ -n "$home" ]; then
	eval "at=~$home"
	case $at in /*) ;; *) exit 22 ;; esac
	at=$(cd -P "$at" 2>/dev/null && pwd -P) || exit 22
	path=$at/$path
fi
dir=${path%/*}; base=${path##*/}
[ -n "$dir" ] || dir=/
missing=
if [ -n "$home" ] && [ ! -e "$dir" ] && [ ! -h "$dir" ]; then
	missing=yes dir=$at # it's made with the file
fi
[ -d "$dir" ] || exit 10
cd -P "$dir" || exit 11
real=$(pwd -P)
[ "$real" = "$dir" ] || { printf '%s\n' "$real" >&2; exit 13; }
printf 'uid %s\nat %s\n' "$(id -u)" "$real"
at=$real
while :; do
	printf 'folder %s\n' "$(ls -ldn "$at")"
	[ "$at" = / ] && break
	at=${at%/*}
	[ -n "$at" ] || at=/
done
if [ -n "$missing" ]; then
	printf 'kind none\ncontent 0\n'
elif [ -h "./$base" ]; then
	printf 'kind link %s\ncontent 0\n' "$(readlink -f "./$base" 2>/dev/null | head -n 1)"
elif [ ! -e "./$base" ]; then
	printf 'kind none\ncontent 0\n'
elif [ ! -f "./$base" ]; then
	printf 'kind other\ncontent 0\n'
else
	[ -r "./$base" ] || exit 12
	size=$(wc -c <"./$base") || exit 12
	printf 'kind file\nfile %s\nnames %s\n' "$(ls -ldn "./$base")" "$(ls -ld "./$base")"
	if [ "$size" -gt "$max" ]; then
		printf 'large %s\ncontent 0\n' "$((size))"
	else
		printf 'content %s\n' "$((size))"
		cat "./$base" || exit 12
	fi
fi
