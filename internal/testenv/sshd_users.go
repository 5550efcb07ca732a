//go:build unix

package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// firstUser is the id of the first of the users that SSHDWithUsers makes.
const firstUser = 4321

// SSHDWithUsers starts an sshd that sees another /etc than the machine: a copy, with
// these users in addition, none of whom has a password yet. So the real chpasswd and
// sshd can be tested, and no password of the machine's own users is ever changed. It
// takes root and a mount of its own.
func SSHDWithUsers(t testing.TB, o SSHOptions, users ...string) *SSHServer {
	t.Helper()
	if os.Geteuid() != 0 || exec.Command("unshare", "-m", "true").Run() != nil {
		Missing(t, "an /etc of the test's own", "run it as root, where unshare -m works")
	}
	o.Config = append(o.Config, "PasswordAuthentication yes")
	etc := filepath.Join(t.TempDir(), "etc")
	if out, err := exec.Command("cp", "-a", "/etc", etc).CombinedOutput(); err != nil {
		t.Fatalf("copy /etc: %v: %s", err, out)
	}
	var passwd, shadow strings.Builder
	for i, user := range users {
		id := strconv.Itoa(firstUser + i)
		passwd.WriteString(user + ":x:" + id + ":" + id + "::/:/bin/sh\n")
		shadow.WriteString(user + ":!:19000:0:99999:7:::\n")
	}
	appendTo(t, filepath.Join(etc, "passwd"), passwd.String())
	appendTo(t, filepath.Join(etc, "shadow"), shadow.String())
	o.Wrap = []string{"unshare", "-m", "--propagation", "private", "sh", "-c", `mount --bind "$1" /etc && shift && exec "$@"`, "sh", etc}
	s := SSHD(t, o)
	s.etc = etc
	return s
}

// Etc is the folder that a server of SSHDWithUsers sees as /etc.
func (s *SSHServer) Etc() string { return s.etc }

func appendTo(t testing.TB, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(text)
		_ = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}
