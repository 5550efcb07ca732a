#!/bin/sh
# An issuer for Rota in shell, with jq: the password of one user in a file, which
# stands for a system that knows only its hash.
#
# The password is chosen here and set afterwards, so that Rota has stored it before
# it's in use. The user has one password, so the new one replaces the old one.
#
# settings: file and username.
set -eu

# Everything that's asked for, quoted by jq for the shell. Values stay in variables of
# this shell and go from one builtin to the next: other users can see the arguments and
# the environment of programs.
eval "$(jq -r '@sh "protocol=\(.protocol) verb=\(.verb)",
	@sh "file=\(.settings.file // "") username=\(.settings.username // "")",
	@sh "password=\(.credential.password // "")"')"

succeed() { # what the answer has beside the protocol and the verb
	printf '{"protocol": 1, "verb": "%s"%s}\n' "$verb" "${1:-}"
	exit 0
}
fail() { # class, message
	jq -nc --arg verb "$verb" --arg class "$1" --arg message "$2" \
		'{protocol: 1, verb: $verb, error: {class: $class, message: $message}}'
	exit 0
}
# What the file has: the user, a colon, the password's hash.
hashed() { printf '%s:%s\n' "$username" "$(printf '%s' "$password" | openssl dgst -sha256 -r | cut -d ' ' -f 1)"; }

[ "$protocol" = 1 ] || fail stop 'this program speaks protocol 1'

case $verb in
describe)
	succeed ', "description": {"kind": "user password", "fields": ["username", "password"], "id": "username",
		"limit": 1, "test_successes": 1, "verbs": ["in_force"]}'
	;;
create) # nothing outside changes: set makes it valid
	openssl rand -hex 24 | jq -Rc --arg username "$username" \
		'{protocol: 1, verb: "create", credential: {username: $username, password: .}}'
	;;
set) # in one step, so that nobody reads half a file
	umask 077
	hashed >"$file.$$"
	mv "$file.$$" "$file"
	succeed
	;;
test)
	[ -r "$file" ] || fail wait 'the file is not there yet'
	[ "$(hashed)" = "$(cat "$file")" ] || fail refused 'wrong password'
	succeed
	;;
in_force)
	state=no
	[ -r "$file" ] && [ "$(hashed)" = "$(cat "$file")" ] && state=yes
	succeed ", \"in_force\": \"$state\""
	;;
delete) # the next password has replaced it already
	succeed
	;;
*)
	fail stop 'this program does not know the verb'
	;;
esac
