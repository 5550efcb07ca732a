package crash

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	programs "github.com/rota-dev/rota/provider/command"
)

// tokens is a program that issues tokens: files with the version, the token and
// whether it's on.
const tokens = `#!/bin/sh
in=$(cat)
field() { printf '%s' "$in" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
verb=$(field verb) id=$(field credential_id) dir=$(field dir) version=$(field version)
answer() { printf '{"protocol": 1, "verb": "%s"%s}\n' "$verb" "$1"; }
refuse() { answer ", \"error\": {\"class\": \"$1\", \"message\": \"$2\"}"; exit; }
turn() { # replaced at once, so that nobody reads half a file
	[ -f "$dir/$id" ] || refuse not_found 'no such token'
	read -r version token on <"$dir/$id"
	echo "$version $token $1" >"$dir/.$id" && mv "$dir/.$id" "$dir/$id" && answer
}
case $verb in
describe) answer ', "description": DESCRIPTION' ;;
create)
	id=t$(ls "$dir" | wc -l)$$ token=$(cat /proc/sys/kernel/random/uuid)
	echo "$version $token on" >"$dir/.$id" && mv "$dir/.$id" "$dir/$id"
	answer ", \"credential\": {\"id\": \"$id\", \"token\": \"$token\"}" ;;
test)
	id=$(field id)
	[ -f "$dir/$id" ] || refuse refused 'no such token'
	read -r version token on <"$dir/$id"
	[ "$token $on" = "$(field token) on" ] || refuse refused 'another token, or an inactive one'
	answer ;;
list)
	all=
	for file in "$dir"/*; do
		[ -f "$file" ] || continue
		read -r version token on <"$file"
		[ "$on" = on ] && on=true || on=false
		all="$all${all:+, }{\"id\": \"${file##*/}\", \"version\": \"$version\", \"active\": $on}"
	done
	answer ", \"credentials\": [$all]" ;;
last_used) answer ', "use": {"evidence": "recorded"}' ;;
deactivate) turn off ;;
reactivate) turn on ;;
delete)
	if [ -f "$dir/$id" ]; then
		read -r version token on <"$dir/$id"
		[ "$on" = off ] || refuse conflict 'the token is active'
		rm "$dir/$id"
	fi
	answer ;;
esac
`

func TestTokensOfAProgramThroughEveryFault(t *testing.T) {
	t.Parallel()
	about := programs.Description{Kind: "token", Fields: []string{"id", "token"}, IssuerChooses: true, Limit: 3, TestSuccesses: 1,
		Verbs: []programs.Verb{programs.VerbList, programs.VerbLastUsed, programs.VerbDeactivate, programs.VerbReactivate}}
	text := strings.Replace(tokens, "DESCRIPTION", `{"kind": "token", "fields": ["id", "token"], "issuer_chooses": true, "limit": 3, "test_successes": 1, "verbs": ["list", "last_used", "deactivate", "reactivate"]}`, 1)
	folder := t.TempDir()
	program := filepath.Join(folder, "tokens")
	if err := errors.Join(os.Chmod(folder, 0o755), os.WriteFile(program, []byte(text), 0o755), os.Chmod(program, 0o755)); err != nil {
		t.Fatal(err)
	}
	matrix(t, "Tokens of a program", 4, life{name: "a program's token", build: inOwnStore(func(t testing.TB, s *scene) fixture {
		dir, err := os.MkdirTemp(folder, "cell-")
		if err != nil {
			t.Fatal(err)
		}
		issuer, err := programs.NewIssuer(programs.IssuerConfig{Config: programs.Config{Command: []string{program}}, Settings: map[string]string{"dir": dir}, Description: about})
		if err != nil {
			t.Fatal(err)
		}
		kept := func(id string) (words []string, err error) {
			text, err := os.ReadFile(filepath.Join(dir, filepath.Base(id)))
			if errors.Is(err, fs.ErrNotExist) {
				return nil, nil
			}
			return strings.Fields(string(text)), err
		}
		o := &outward{Issuer: issuer, system: "program", scene: s}
		return fixture{
			connect: o.connect, traits: issuer.Traits(), id: issuer.CredentialID, marks: true,
			works: func(c rota.Credential) (bool, error) {
				words, err := kept(c.Field("id"))
				return len(words) == 3 && words[1] == c.Field("token") && words[2] == "on", err
			},
			exists: func() (map[string]bool, error) {
				entries, err := os.ReadDir(dir)
				exist := map[string]bool{}
				for _, e := range entries {
					words, readErr := kept(e.Name())
					if !strings.HasPrefix(e.Name(), ".") && len(words) == 3 {
						exist[e.Name()] = words[2] == "on"
					}
					err = errors.Join(err, readErr)
				}
				return exist, err
			},
			close: func() {},
		}
	}), kinds: onlyOn("program"), steps: lifeOfKey})
}
