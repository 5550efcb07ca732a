package redis

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

// What logs in after each step of a rotation, and after the server was killed and
// started again.
func TestBothPasswordsLogInUntilTheOldOneIsDeleted(t *testing.T) {
	for name, o := range map[string]testenv.RedisOptions{"with an ACL file": {}, "with a configuration file": {NoACLFile: true}} {
		t.Run(name, func(t *testing.T) {
			s := testenv.Redis(t, o)
			u := issuerOf(t, admin(t, s), app(t, s))
			// What a person has set about the user.
			s.Do(t, "acl", "setuser", u.name, ">by-hand", "(+get ~other:*)")
			byHand := rota.NewCredential(map[string]string{rota.FieldUsername: u.name, rota.FieldPassword: "by-hand"})
			rules := func() string {
				all := s.Do(t, "acl", "getuser", u.name).([]any)
				at := slices.Index(all, any("passwords"))
				// Redis may list the same rules in another order after a restart.
				words := strings.Fields(fmt.Sprint(slices.Delete(slices.Clone(all), at, at+2)))
				for i := range words {
					words[i] = strings.Trim(words[i], "[]")
				}
				slices.Sort(words)
				return strings.Join(words, " ")
			}
			before := rules()
			expect := func(step string, want map[string]rota.Credential, refused ...rota.Credential) {
				t.Helper()
				for who, c := range want {
					if !logsIn(t, s, c) {
						t.Errorf("%s: %s doesn't log in", step, who)
					}
				}
				for _, c := range refused {
					if logsIn(t, s, c) {
						t.Errorf("%s: a password that should be gone logs in", step)
					}
				}
				if diff := cmp.Diff(before, rules()); diff != "" {
					t.Errorf("%s: the user's rules changed:\n%s", step, diff)
				}
			}
			old := rotate(t, u)
			expect("after the first", map[string]rota.Credential{"the first": old, "a person's": byHand})
			next, err := u.Create(t.Context(), rota.CreateRequest{})
			if err != nil {
				t.Fatal(err)
			}
			expect("after create", map[string]rota.Credential{"the old": old, "a person's": byHand}, next)
			if err := u.Set(t.Context(), rota.SetRequest{Credential: next}); err != nil {
				t.Fatal(err)
			}
			expect("after set", map[string]rota.Credential{"the old": old, "the new": next, "a person's": byHand})
			s.Restart(t)
			expect("after set and a restart", map[string]rota.Credential{"the old": old, "the new": next, "a person's": byHand})
			if err := u.Delete(t.Context(), rota.RetireRequest{CredentialID: u.CredentialID(old)}); err != nil {
				t.Fatal(err)
			}
			expect("after delete", map[string]rota.Credential{"the new": next, "a person's": byHand}, old)
			s.Restart(t)
			expect("after delete and a restart", map[string]rota.Credential{"the new": next, "a person's": byHand}, old)
		})
	}
}

func TestAServerThatForgetsUsersIsNotGivenAPassword(t *testing.T) {
	s := testenv.Redis(t, testenv.RedisOptions{NoFile: true})
	c := admin(t, s)
	u := issuerOf(t, c, app(t, s))
	next, err := u.Create(t.Context(), rota.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, u.Set(t.Context(), rota.SetRequest{Credential: next}), rota.ClassStop, nil, "forget", "persist: none")
	if logsIn(t, s, next) {
		t.Error("the password was added all the same")
	}
	if f := testenv.FindingOf(t, u, "across a restart"); f.OK || f.Warning {
		t.Errorf("check says %+v", f)
	}
	cfg := c.cfg
	cfg.Persist = PersistNone
	u = issuerOf(t, connect(t, cfg), u.name)
	rotate(t, u)
	if f := testenv.FindingOf(t, u, "across a restart"); f.OK || !f.Warning {
		t.Errorf("with persist: none, check says %+v", f)
	}
}

func TestWhatCannotBeWrittenDownIsUndone(t *testing.T) {
	s := testenv.Redis(t, testenv.RedisOptions{})
	u := issuerOf(t, admin(t, s), app(t, s))
	old := rotate(t, u)
	// A folder in place of the file: not even root can replace it.
	file := filepath.Join(s.Dir, "users.acl")
	if err := errors.Join(os.Rename(file, file+".away"), os.MkdirAll(filepath.Join(file, "x"), 0o700)); err != nil {
		t.Fatal(err)
	}
	next, err := u.Create(t.Context(), rota.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, u.Set(t.Context(), rota.SetRequest{Credential: next}), rota.ClassWait, nil, "write that to the server's file", "server's log")
	wantError(t, u.Delete(t.Context(), rota.RetireRequest{CredentialID: u.CredentialID(old)}), rota.ClassWait, nil, "write that to the server's file")
	if logsIn(t, s, next) || !logsIn(t, s, old) {
		t.Error("a change that a restart would undo was left in force")
	}
	if err := errors.Join(os.RemoveAll(file), os.Rename(file+".away", file)); err != nil {
		t.Fatal(err)
	}
	if err := u.Set(t.Context(), rota.SetRequest{Credential: next}); err != nil || !logsIn(t, s, next) {
		t.Errorf("once it can be written: %v", err)
	}
}

func TestEveryListedServerTakesThePassword(t *testing.T) {
	primary := testenv.Redis(t, testenv.RedisOptions{})
	replica := testenv.Redis(t, testenv.RedisOptions{ReplicaOf: primary})
	name := app(t, primary, replica)
	both := admin(t, primary, replica)
	u := issuerOf(t, both, name)
	c := rotate(t, u)
	for _, s := range []*testenv.RedisServer{primary, replica} {
		if !logsIn(t, s, c) {
			t.Errorf("it doesn't log in at %s", s.Addr)
		}
	}
	inForce := func() bool {
		is, known, err := u.InForce(t.Context(), c)
		if err != nil || !known {
			t.Fatalf("in force: known %t, %v", known, err)
		}
		return is
	}
	if !inForce() {
		t.Error("it isn't in force")
	}
	// Someone resets the replica's users: the primary still has the password.
	replica.Do(t, "acl", "setuser", name, "resetpass")
	if inForce() {
		t.Error("it's in force although one server has lost it")
	}
	wantError(t, u.Test(t.Context(), rota.TestRequest{Credential: c}), rota.ClassWait, rota.ErrRefused, replica.Addr)
	if err := u.Set(t.Context(), rota.SetRequest{Credential: c}); err != nil || !inForce() {
		t.Errorf("set again: %v", err)
	}
	if err := u.Delete(t.Context(), rota.RetireRequest{CredentialID: u.CredentialID(c)}); err != nil || logsIn(t, primary, c) || logsIn(t, replica, c) {
		t.Errorf("it's left on a server (%v)", err)
	}
	replica.Do(t, "acl", "deluser", name)
	wantError(t, u.Set(t.Context(), rota.SetRequest{Credential: c}), rota.ClassStop, rota.ErrNotFound, replica.Addr, "ACL SETUSER "+name)
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(primary.Do(t, "info", "replication").(string), "connected_slaves:1"); {
		if time.Now().After(deadline) {
			t.Fatal("the replica never connected")
		}
	}
	alone := issuerOf(t, admin(t, primary), name)
	if f := testenv.FindingOf(t, alone, "every server"); f.OK || !f.Warning || !strings.Contains(f.Detail, "1 replicas") {
		t.Errorf("with the primary alone, check says %+v", f)
	}
}

func TestConnectionsOutliveTheirPassword(t *testing.T) {
	s := testenv.Redis(t, testenv.RedisOptions{})
	u := issuerOf(t, admin(t, s), app(t, s))
	old, next := rotate(t, u), rotate(t, u)
	used := func(c rota.Credential) rota.Use {
		use, err := u.LastUsed(t.Context(), u.CredentialID(c))
		if err != nil {
			t.Fatal(err)
		}
		return use
	}
	for deadline := time.Now().Add(20 * time.Second); !used(old).At.IsZero(); { // the logins that tested it
		if time.Now().After(deadline) {
			t.Fatal("nobody is connected, and it says:", used(old).Detail)
		}
	}
	client := use(t, s, next)
	for _, c := range []rota.Credential{old, next} { // either may be the one in use
		if u := used(c); u.Evidence != rota.EvidenceSampled || u.At.IsZero() || !strings.Contains(u.Detail, "1 connection from "+s.Socket) && !strings.Contains(u.Detail, "name shop") {
			t.Errorf("the use is %+v", u)
		}
	}
	if err := u.Delete(t.Context(), rota.RetireRequest{CredentialID: u.CredentialID(next)}); err != nil {
		t.Fatal(err)
	}
	if err := client.Set(t.Context(), "app:1", "x", 0).Err(); err != nil {
		t.Errorf("the connection ended with its password: %v", err)
	}
	if used(old).At.IsZero() {
		t.Error("the connection is no longer shown")
	}
}

func TestOnlyHashesAreSent(t *testing.T) {
	s := testenv.Redis(t, testenv.RedisOptions{})
	c, p := through(t, s)
	u := issuerOf(t, c, app(t, s))
	next, err := u.Create(t.Context(), rota.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Set(t.Context(), rota.SetRequest{Credential: next}); err != nil {
		t.Fatal(err)
	}
	if sent := p.heard(); !strings.Contains(sent, "#"+hashOf(next.Field(rota.FieldPassword))) || strings.Contains(sent, next.Field(rota.FieldPassword)) {
		t.Errorf("Rota sent %q", sent)
	}
	if id := u.CredentialID(next); len(id) != len(u.name)+9 || strings.Contains(hashOf(next.Field(rota.FieldPassword)), id[len(u.name)+1:]) {
		t.Errorf("the id is %s", id)
	}
}

func TestAPasswordThatIsAdoptedKeepsItsPlace(t *testing.T) {
	s := testenv.Redis(t, testenv.RedisOptions{})
	u := issuerOf(t, admin(t, s), app(t, s))
	s.Do(t, "acl", "setuser", u.name, ">by-hand")
	given := u.Complete(rota.NewCredential(map[string]string{rota.FieldPassword: "by-hand"}))
	issued, err := u.List(t.Context())
	if err != nil || len(issued) != 1 || issued[0].ID != u.CredentialID(given) || !issued[0].Active {
		t.Errorf("the list is %+v (%v), want %s", issued, err, u.CredentialID(given))
	}
	if err := u.Test(t.Context(), rota.TestRequest{Credential: given}); err != nil {
		t.Error(err)
	}
}

// A removal that was interrupted before the server wrote it down looks complete: the
// server no longer has the password, until it's restarted.
func TestARemovalThatWasInterruptedIsWrittenDownTheNextTime(t *testing.T) {
	for name, o := range map[string]testenv.RedisOptions{"with an ACL file": {}, "with a configuration file": {NoACLFile: true}} {
		t.Run(name, func(t *testing.T) {
			first, second := testenv.Redis(t, o), testenv.Redis(t, o)
			u := issuerOf(t, admin(t, first, second), app(t, first, second))
			old, current := rotate(t, u), rotate(t, u)
			for _, s := range []*testenv.RedisServer{first, second} {
				s.Do(t, "acl", "setuser", u.name, "!"+hashOf(old.Field(rota.FieldPassword)))
			}
			for range 2 {
				if err := u.Delete(t.Context(), rota.RetireRequest{CredentialID: u.CredentialID(old)}); err != nil {
					t.Fatal(err)
				}
			}
			for i, s := range []*testenv.RedisServer{first, second} {
				s.Restart(t)
				if logsIn(t, s, old) {
					t.Errorf("server %d: the password that was deleted is back", i+1)
				}
				if !logsIn(t, s, current) {
					t.Errorf("server %d: the current password is gone", i+1)
				}
			}
		})
	}
}
