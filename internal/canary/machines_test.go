//go:build linux

package canary

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rota-dev/rota/internal/testenv"
)

const machinesConfig = `
connections:
  web: {ssh: {hosts: ["%[1]s"], user: %[2]s, private_key: "${file:%[3]s/in/ssh}", known_hosts: "${file:%[3]s/in/known_hosts}"}}
  wrong-web: {ssh: {hosts: ["%[1]s"], user: app, password: "${file:%[3]s/in/wrong}", known_hosts: "${file:%[3]s/in/known_hosts}"}}
  page: {command: {run: [%[3]s/in/spy.sh, page]}}
defaults:
  policy: {deactivate_previous_after: 0s, delete_previous_after: 0s, late_after: 1ms, test_within: 3s}
  notify: [page]
secrets:
  - name: login
    issuer: {connection: web, ssh_password: {user: app}}
    targets: [{name: host, ssh_file: {connection: web, path: %[3]s/targets/login.json, format: json}}]
    reload: [{name: host, ssh_command: {connection: web, run: [%[3]s/in/spy.sh, host, %[3]s/targets/login.json]}}]
  - name: deploy
    issuer: {connection: web, ssh_key: {user: %[2]s, path: %[4]s}}
    targets: [{name: host, ssh_file: {connection: web, path: %[3]s/targets/id, format: text, fields: {content: private_key}}}]
    reload: [{name: host, ssh_command: {connection: web, run: [%[3]s/in/spy.sh, deploy, %[3]s/targets/id]}}]
  - name: parcel
    issuer:
      command:
        run: [%[3]s/in/parcel.sh]
        settings: {token: "${file:%[3]s/in/parcel}", dir: %[3]s/targets}
        fields: [id, token]
        issuer_chooses: true
        verbs: [list]
    targets: [{name: program, command: {run: [%[3]s/in/parcel.sh], settings: {token: "${file:%[3]s/in/parcel}", dir: %[3]s/targets}}}]
    reload: [{name: program, command: {run: [%[3]s/in/parcel.sh], protocol: 1, settings: {dir: %[3]s/targets}}}]
  - {name: wrong-web, issuer: {connection: wrong-web, ssh_key: {user: app, name: wrong}}}
`

// parcelScript is an issuer, a target and a reloader. It records what others can see
// of it, and while a file says so, it fails after repeating what it was told.
const parcelScript = `#!/bin/sh
in=$(cat)
{ tr '\0' '\n' </proc/$$/cmdline; tr '\0' '\n' </proc/$$/environ; } >%[1]s/spy/parcel.$$
field() { printf '%%s' "$in" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
verb=$(field verb)
answer() { printf '{"protocol": 1, "verb": "%%s"%%s}\n' "$verb" "$1"; }
if [ -e "%[1]s/in/fail-parcel-$verb" ]; then
	echo "$in" >&2
	case $(cat "%[1]s/in/fail-parcel-$verb") in
	garbage) echo "$in" ;;
	error) printf '%%s' "$in" | sed 's/.*"token":"\([^"]*\)".*/{"protocol": 1, "verb": "'$verb'", "error": {"class": "wait", "message": "not with \1"}}/' ;;
	esac
	exit 3
fi
case $verb in
describe) answer ', "description": {"kind": "credential of parcel.sh", "fields": ["id", "token"], "id": "id", "issuer_chooses": true, "verbs": ["list"]}' ;;
create) token=$(cat /proc/sys/kernel/random/uuid); echo "t$$ $(field version) $token" >>%[1]s/targets/parcel; answer ", \"credential\": {\"id\": \"t$$\", \"token\": \"$token\"}" ;;
list) answer ", \"credentials\": [$(sed 's/\(.*\) \(.*\) .*/{"id": "\1", "version": "\2"},/' %[1]s/targets/parcel 2>/dev/null | tr -d '\n' | sed 's/,$//')]" ;;
*) answer ;;
esac
`

// playMachines plays the lives of keys and passwords on a host, and of what a program
// issues.
func playMachines(t *testing.T, l *ledger) {
	host := testenv.SSHDWithUsers(t, testenv.SSHOptions{}, "app")
	w := newWorld(t, l, "login", "deploy", "parcel")
	w.must(os.Chmod(w.dir, 0o755))
	w.must(os.Chmod(filepath.Dir(w.dir), 0o755))
	w.secret("Rota's own key", host.ClientKey)
	for name, value := range map[string]string{"wrong": "wrong-canary-6Hq2Zk8Vb", "parcel": "parcel-canary-3Ys7Ne5Lc"} {
		w.secret("the login "+name, value)
		w.file("in/"+name, value, 0o600)
	}
	w.file("in/ssh", host.ClientKey, 0o600)
	w.file("in/known_hosts", host.KnownHosts(), 0o600)
	w.file("in/parcel.sh", fmt.Sprintf(parcelScript, w.dir), 0o700)
	w.file("targets/parcel", "", 0o600)
	w.file("rota.yaml", fmt.Sprintf(machinesConfig, host.Addr, host.User, w.dir, host.AuthorizedKeys()), 0o600)
	all := []string{"rotate", "login", "deploy", "parcel"}

	w.step("013", "check")
	w.keepOpen()
	w.step("013", all...)
	for _, name := range []string{"host", "deploy", "page"} {
		w.fails(name, true)
	}
	w.step("013", all...)
	for _, name := range []string{"host", "deploy", "page"} {
		w.fails(name, false)
	}
	w.stepOnce("013", all...)
	for _, verb := range []string{"describe", "create", "list", "test", "deliver", "reload", "delete"} {
		for _, how := range []string{"garbage", "error"} {
			w.file("in/fail-parcel-"+verb, how, 0o600)
			w.stepOnce("013", map[bool]string{false: "rotate", true: "delete"}[verb == "delete"], "parcel")
		}
		w.must(os.Remove(w.path("in/fail-parcel-" + verb)))
	}
	w.stepOnce("013", "run", "--all")
	// A file and keys that can't be written, and a host that nobody can reach.
	w.must(errors.Join(os.Remove(w.path("targets/login.json")), os.Mkdir(w.path("targets/login.json"), 0o700)))
	w.stepOnce("013", "rotate", "login")
	w.must(os.Remove(w.path("targets/login.json")))
	w.must(os.Chmod(w.path("targets"), 0o777))
	w.stepOnce("013", "rotate", "deploy")
	w.must(os.Chmod(w.path("targets"), 0o700))
	host.Stop()
	w.stepOnce("013", all...)
	host.Restart(t)
	for _, name := range all[1:] {
		w.stepOnce("013", "rotate", name)
		w.stepOnce("013", "rollback", name)
		w.stepOnce("013", "deliver", name)
		w.stepOnce("013", "rotate", name)
		w.stepOnce("013", "deactivate", name)
		w.stepOnce("013", "delete", name)
	}
	w.stepOnce("013", "rotate", "wrong-web")
	w.stepOnce("01", "check", "wrong-web")
	w.step("01", "alert")
	w.everyCommand()
	w.step("01", "backup", w.path("data/backup.db"))
	w.gather("")
	log, err := os.ReadFile(host.LogFile())
	w.must(err)
	w.wrote("sshd's log", log)
	for _, want := range []string{"Starting session: command", "Accepted publickey", "Accepted password"} {
		if !bytes.Contains(log, []byte(want)) {
			t.Errorf("sshd's log has no %q: too little was tried", want)
		}
	}
	if spies, _ := filepath.Glob(w.path("spy", "*")); !strings.Contains(strings.Join(spies, " "), "/host.") || !strings.Contains(strings.Join(spies, " "), "/parcel.") {
		t.Errorf("the spies didn't run: %v", spies)
	}
}
