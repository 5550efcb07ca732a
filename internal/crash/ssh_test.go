package crash

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	driver "golang.org/x/crypto/ssh"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/ssh"
	"github.com/rota-dev/rota/rotation"
)

// onlyOn are few kinds, and only of the issuer's own calls: each is a session on a
// host, and the rest is as with any other issuer.
func onlyOn(system string) func(call) []kind {
	return func(c call) []kind {
		if c.system != system {
			return nil
		}
		return fewKinds(c)
	}
}

func turnOff(ctx context.Context, r *rotation.Rotator, s *rotation.Secret) (rotation.Result, error) {
	return r.Advance(ctx, s, rotation.Options{Force: rota.StepDeactivate})
}

func TestSSHKeysThroughEveryFault(t *testing.T) {
	t.Parallel()
	server := testenv.SSHD(t, testenv.SSHOptions{})
	const others = "# ours\nfrom=\"10.0.0.0/8\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8ZqzKqyWSZb6Eo0FtJ2gXjK9iGmY9oGZpVvK1H1bLr other\n"
	if err := os.WriteFile(server.AuthorizedKeys(), []byte(others), 0o600); err != nil {
		t.Fatal(err)
	}
	host := connectSSH(t, server)
	matrix(t, "SSH keys", 4, life{name: "a user's key", build: inOwnStore(func(t testing.TB, s *scene) fixture {
		// All cells share the file, as secrets do that have keys of one user.
		name := "cell-" + strconv.FormatInt(scenes.Add(1), 10)
		issuer, err := host.Keys(ssh.KeysConfig{User: server.User, Name: name, Path: server.AuthorizedKeys()})
		if err != nil {
			t.Fatal(err)
		}
		mine := func() (map[string]bool, error) {
			text, err := os.ReadFile(server.AuthorizedKeys())
			keys := map[string]bool{}
			for line := range strings.Lines(string(text)) {
				line, off := strings.CutPrefix(line, "#rota-off# ")
				key, comment, _, _, parseErr := driver.ParseAuthorizedKey([]byte(line))
				if parseErr == nil && comment == "rota:"+name {
					keys[driver.FingerprintSHA256(key)] = !off
				}
			}
			return keys, err
		}
		o := &outward{Issuer: issuer, system: "ssh", scene: s}
		return fixture{
			connect: o.connect, traits: issuer.Traits(), id: issuer.CredentialID, exists: mine,
			works: func(c rota.Credential) (bool, error) {
				keys, err := mine()
				return keys[issuer.CredentialID(c)], err
			},
			logIn: func(c rota.Credential) error {
				return issuer.Test(context.Background(), rota.TestRequest{Credential: c})
			},
			intact: func() error {
				text, err := os.ReadFile(server.AuthorizedKeys())
				if err != nil || !strings.Contains(string(text), others) {
					return fmt.Errorf("somebody else's lines were touched (%w)", err)
				}
				return nil
			},
			close: func() {},
		}
	}), kinds: onlyOn("ssh"), steps: []step{
		{name: "day 0", ask: rotateNow, done: isIssued},
		{name: "day 90", after: 90 * rota.Day, done: isRotated},
		{name: "day 100, turned off", after: 10 * rota.Day, ask: turnOff, done: isDeactivated},
		{name: "day 110", after: 10 * rota.Day, grace: true, done: isDeleted},
		{name: "day 180", after: 70 * rota.Day, done: isRotated},
		{name: "day 182, rolled back", after: 2 * rota.Day, ask: rollBack, done: isRolledBack},
	}})
}

// unixUsers are as many as there are cells, and more.
const unixUsers = 200

func TestUnixPasswordsThroughEveryFault(t *testing.T) {
	t.Parallel()
	var users []string
	for i := range unixUsers {
		users = append(users, "app"+strconv.Itoa(i))
	}
	server := testenv.SSHDWithUsers(t, testenv.SSHOptions{}, append(users, "other")...)
	host := connectSSH(t, server)
	var next atomic.Int64
	shadow := func(user string) (string, error) {
		text, err := os.ReadFile(filepath.Join(server.Etc(), "shadow"))
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, user+":") {
				return line, err
			}
		}
		return "", err
	}
	untouched, err := shadow("other")
	if err != nil {
		t.Fatal(err)
	}
	matrix(t, "Unix passwords", 4, life{name: "a user's password", build: inOwnStore(func(t testing.TB, s *scene) fixture {
		user := users[next.Add(1)-1]
		issuer, err := host.Password(ssh.PasswordConfig{User: user})
		if err != nil {
			t.Fatal(err)
		}
		var proven sync.Map // whether a login works, by what the host keeps and the password
		works := func(c rota.Credential) (bool, error) {
			line, err := shadow(user)
			if err != nil {
				return false, err
			}
			key := line + c.Field(rota.FieldPassword)
			if is, known := proven.Load(key); known {
				return is.(bool), nil
			}
			inForce, known, err := issuer.(rota.Teller).InForce(context.Background(), c)
			if err != nil {
				return false, err
			}
			proven.Store(key, inForce && known)
			return inForce && known, nil
		}
		o := &outward{Issuer: issuer, system: "ssh", scene: s}
		return fixture{
			connect: o.connect, traits: issuer.Traits(), id: issuer.CredentialID, works: works,
			logIn: func(c rota.Credential) error {
				return issuer.Test(context.Background(), rota.TestRequest{Credential: c})
			},
			exists: func() (map[string]bool, error) {
				line, err := shadow(user)
				return map[string]bool{user: strings.Contains(line, ":$6$")}, err
			},
			intact: func() error {
				if now, err := shadow("other"); err != nil || now != untouched {
					return fmt.Errorf("somebody else's password was touched (%w)", err)
				}
				return nil
			},
			close: func() {},
		}
	}), kinds: onlyOn("ssh"), steps: lifeOfPassword})
}

func connectSSH(t testing.TB, server *testenv.SSHServer) *ssh.Connection {
	t.Helper()
	c, err := ssh.New("web", ssh.Config{Hosts: []string{server.Addr}, User: server.User, PrivateKey: server.ClientKey, KnownHosts: server.KnownHosts(), Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}
