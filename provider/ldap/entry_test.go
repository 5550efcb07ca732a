package ldap

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

func passwords(t testing.TB, s *testenv.Slapd, dn string) []string {
	t.Helper()
	values, err := s.Passwords(dn)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

func TestTheNewPasswordReplacesTheOldOne(t *testing.T) {
	s := start(t, testenv.SlapdOptions{})
	for name, hash := range map[string]Scheme{"by the server": SchemeServer, "by Rota": SchemeSSHA} {
		t.Run(name, func(t *testing.T) {
			dn := app(t, s)
			i := issuerOf(t, connect(t, admin(s)), EntryConfig{DN: dn, Hash: hash})
			old := rotate(t, i)
			next := rotate(t, i)
			if logsIn(t, s, old) || !logsIn(t, s, next) {
				t.Error("the old password logs in, or the new one doesn't")
			}
			values := passwords(t, s, dn)
			if len(values) != 1 || !strings.HasPrefix(values[0], "{SSHA}") {
				t.Errorf("the entry has %d values", len(values))
			}
			if (marked(values[0]) != nil) != (hash == SchemeSSHA) {
				t.Error("somebody else has hashed it")
			}
			// Setting it again leaves the hash alone.
			if err := i.Set(t.Context(), rota.SetRequest{Credential: next}); err != nil {
				t.Fatal(err)
			}
			if again := passwords(t, s, dn); again[0] != values[0] {
				t.Error("the hash changed")
			}
			wantError(t, i.Delete(t.Context(), rota.RetireRequest{CredentialID: dn}), rota.ClassStop, rota.ErrConflict)
		})
	}
}

func TestTwoPasswordsOverlap(t *testing.T) {
	s := start(t, testenv.SlapdOptions{Lines: "lastbind on\n"})
	dn := app(t, s)
	const theirs = "somebody-else's"
	s.Set(t, dn, "userPassword", theirs)
	i := issuerOf(t, connect(t, admin(s)), EntryConfig{DN: dn, Two: true})
	first, second := rotate(t, i), rotate(t, i)
	if !logsIn(t, s, first) || !logsIn(t, s, second) || len(passwords(t, s, dn)) != 3 {
		t.Fatal("the passwords don't overlap")
	}
	use, err := i.(rota.UseReporter).LastUsed(t.Context(), i.CredentialID(first))
	if err != nil || use.Evidence != rota.EvidenceRecorded || !use.Ambiguous || time.Since(use.At) > time.Minute {
		t.Errorf("got %+v, %v", use, err)
	}
	if err := i.Delete(t.Context(), rota.RetireRequest{CredentialID: i.CredentialID(first)}); err != nil {
		t.Fatal(err)
	}
	if logsIn(t, s, first) || !logsIn(t, s, second) {
		t.Error("the wrong password is gone")
	}
	if !logsIn(t, s, testenv.With(first, rota.FieldPassword, theirs)) {
		t.Error("somebody else's password is gone")
	}
	if f := testenv.FindingOf(t, i, "are Rota's"); f.OK || !f.Warning {
		t.Errorf("check says %+v", f)
	}
	// The last one isn't removed: nobody could log in.
	s.Set(t, dn, "userPassword", passwords(t, s, dn)[1])
	if err := i.Delete(t.Context(), rota.RetireRequest{CredentialID: i.CredentialID(second)}); rota.ClassOf(err) != rota.ClassStop || !logsIn(t, s, second) {
		t.Errorf("the only password was removed (%v)", err)
	}
	if _, err := i.Create(t.Context(), rota.CreateRequest{Taken: []string{"a", "b"}}); err == nil {
		t.Error("there's a third")
	}
}

func TestDNsAreComparedAsTheDirectoryDoes(t *testing.T) {
	same := [][]string{
		{"uid=orders,ou=apps,dc=example,dc=com", "UID=Orders, OU=apps,  DC=example,DC=com", "uid=orders , ou=Apps,dc=example,dc=com"},
		{`cn=Orders\, Inc.,dc=example,dc=com`, `CN=orders\2c  inc.,dc=example,dc=com`},
		{"cn=orders+uid=1,dc=example,dc=com", "uid=1+cn=Orders,dc=example,dc=com", "userid=1+commonName=orders,domainComponent=example,dc=com"},
		{"uid=orders,ou=apps,dc=example,dc=com", "0.9.2342.19200300.100.1.1=orders,organizationalUnitName=apps,dc=example,dc=com"},
	}
	for _, all := range same {
		for _, dn := range all {
			got, err := normalize(dn)
			want, _ := normalize(all[0])
			if err != nil || got != want {
				t.Errorf("%q is %q (%v), want %q", dn, got, err, want)
			}
		}
	}
	for _, bad := range []string{"", "orders", "uid=orders,", "uid=a,,dc=b"} {
		if got, err := normalize(bad); err == nil {
			t.Errorf("%q is taken for %q", bad, got)
		}
	}
	s := start(t, testenv.SlapdOptions{})
	dn := app(t, s)
	i := issuerOf(t, connect(t, admin(s)), EntryConfig{DN: strings.ToUpper(strings.ReplaceAll(dn, ",ou", " , ou"))})
	c := rotate(t, i)
	if !logsIn(t, s, testenv.With(c, rota.FieldUsername, dn)) {
		t.Error("another entry was changed")
	}
	if err := i.Test(t.Context(), rota.TestRequest{Credential: testenv.With(c, rota.FieldUsername, dn)}); err != nil {
		t.Error(err)
	}
	if i.CredentialID(c) != i.CredentialID(testenv.With(c, rota.FieldUsername, dn)) {
		t.Error("its id depends on how it's spelled")
	}
}

func TestSchemesThatOthersUseAreKnown(t *testing.T) {
	for value, want := range map[string][2]bool{
		"correct-horse":                     {true, true},
		"{SHA}vYp2HCiy5aK7hcd8LIlRAs/pMzw=": {false, true},
		"{SSHA}x":                           {false, true},
		"{CRYPT}$6$abc$def":                 {false, false},
		"{ARGON2}$argon2id$v=19":            {false, false},
		"":                                  {false, true},
	} {
		if match, known := matches(value, "correct-horse"); match != want[0] || known != want[1] {
			t.Errorf("%s: match %t, known %t", value, match, known)
		}
	}
	if match, known := matches("", ""); match || !known {
		t.Error("an empty password matches")
	}
	for _, s := range []Scheme{SchemeSSHA, Scheme256, Scheme512} {
		if match, known := matches(s.value("correct-horse", make([]byte, saltSize)), "correct-horse"); !match || !known {
			t.Errorf("%s doesn't match itself", s)
		}
	}
}

func TestAnEmptyPasswordNeverReachesTheServer(t *testing.T) {
	s := start(t, testenv.SlapdOptions{Global: "allow bind_anon_cred\n"})
	for _, two := range []bool{false, true} {
		dn := app(t, s)
		i := issuerOf(t, connect(t, admin(s)), EntryConfig{DN: dn, Two: two})
		empty := testenv.With(rotate(t, i), rota.FieldPassword, "")
		before := passwords(t, s, dn)
		wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: empty}), rota.ClassStop, nil, "anonymous")
		wantError(t, i.Set(t.Context(), rota.SetRequest{Credential: empty}), rota.ClassStop, nil, "anonymous")
		if after := passwords(t, s, dn); len(after) != len(before) || after[0] != before[0] {
			t.Error("the entry was changed")
		}
	}
	cfg := admin(s)
	cfg.Password = ""
	if _, err := New("directory", cfg); err == nil {
		t.Error("Rota itself may log in without a password")
	}
}

func TestThePasswordPolicyIsHeard(t *testing.T) {
	s := policed(t, map[string]string{"pwdCheckQuality": "2", "pwdMinLength": "8", "pwdInHistory": "2", "pwdLockout": "TRUE", "pwdMaxFailure": "2", "pwdMustChange": "TRUE"})
	c := connect(t, admin(s))
	t.Run("a hash that can't be checked", func(t *testing.T) {
		i := issuerOf(t, c, EntryConfig{DN: bare(t, s), Hash: SchemeSSHA})
		cred, err := i.Create(t.Context(), rota.CreateRequest{})
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, i.Set(t.Context(), rota.SetRequest{Credential: cred}), rota.ClassStop, nil, "leave out hash", "pwdCheckQuality: 1")
	})
	t.Run("a password that was just set", func(t *testing.T) {
		dn := bare(t, s)
		i := issuerOf(t, c, EntryConfig{DN: dn})
		cred := rotate(t, i)
		s.Set(t, dn, "pwdReset", "TRUE")
		wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: cred}), rota.ClassStop, nil, "changes its password", "pwdReset")
		rotate(t, i) // which resets that
	})
	t.Run("a password of its history", func(t *testing.T) {
		police(t, s, map[string]string{"pwdCheckQuality": "1"})
		defer police(t, s, map[string]string{"pwdCheckQuality": "2"})
		i := issuerOf(t, c, EntryConfig{DN: bare(t, s)})
		old := rotate(t, i)
		rotate(t, i)
		if err := i.Set(t.Context(), rota.SetRequest{Credential: old}); err != nil || !logsIn(t, s, old) {
			t.Errorf("the previous password can't be put back: %v", err)
		}
	})
	t.Run("an entry that's locked", func(t *testing.T) {
		i := issuerOf(t, c, EntryConfig{DN: bare(t, s)})
		cred := rotate(t, i)
		for range 2 {
			if logsIn(t, s, testenv.With(cred, rota.FieldPassword, "an-old-one")) {
				t.Fatal("any password logs in")
			}
		}
		wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: cred}), rota.ClassWait, nil, "locked", "pwdAccountLockedTime")
		if f := testenv.FindingOf(t, i, "isn't locked"); f.OK || len(f.Remedies) == 0 {
			t.Errorf("check says %+v", f)
		}
		if err := i.Test(t.Context(), rota.TestRequest{Credential: rotate(t, i)}); err != nil {
			t.Errorf("a new password ends the lock: %v", err)
		}
	})
	t.Run("a password that's too young", func(t *testing.T) {
		police(t, s, map[string]string{"pwdMinAge": "3600"})
		defer police(t, s, map[string]string{"pwdMinAge": "0"})
		i := issuerOf(t, c, EntryConfig{DN: bare(t, s)})
		rotate(t, i)
		cred, err := i.Create(t.Context(), rota.CreateRequest{})
		if err == nil {
			err = i.Set(t.Context(), rota.SetRequest{Credential: cred})
		}
		if err != nil { // servers apply it to an entry's own changes, and some to others'
			wantError(t, err, rota.ClassWait, nil, "pwdMinAge")
		}
	})
}

func TestLoginsThatAreRecordedAreUse(t *testing.T) {
	s := start(t, testenv.SlapdOptions{Modules: []string{"lastbind"}, Lines: "overlay lastbind\n"})
	i := issuerOf(t, connect(t, admin(s)), EntryConfig{DN: app(t, s)})
	none, err := i.(rota.UseReporter).LastUsed(t.Context(), i.(rota.Namer).Names()[0])
	if err != nil || none.Evidence != rota.EvidenceUnknown || len(none.Remedies) == 0 {
		t.Errorf("before any login: %+v, %v", none, err)
	}
	if f := testenv.FindingOf(t, i, "see when"); f.OK || !f.Warning {
		t.Errorf("check says %+v", f)
	}
	c := rotate(t, i)
	use, err := i.(rota.UseReporter).LastUsed(t.Context(), i.CredentialID(c))
	if err != nil || use.Evidence != rota.EvidenceRecorded || use.Ambiguous || time.Since(use.At) > time.Minute {
		t.Errorf("after one: %+v, %v", use, err)
	}
}

func TestAReplicaRefersToItsProvider(t *testing.T) {
	s := start(t, testenv.SlapdOptions{Modules: []string{"syncprov"}, Lines: "overlay syncprov\n"})
	dn := app(t, s)
	replica := testenv.StartSlapd(t, testenv.SlapdOptions{ReplicaOf: s})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if values, err := replica.Passwords(dn); err == nil && len(values) == 1 {
			break
		} else if time.Now().After(deadline) {
			t.Fatal("nothing is replicated: ", err)
		}
	}
	for _, cfg := range []EntryConfig{{DN: dn}, {DN: dn, Hash: SchemeSSHA}, {DN: dn, Two: true}} {
		i := issuerOf(t, connect(t, admin(replica)), cfg)
		c, err := i.Create(t.Context(), rota.CreateRequest{})
		if err != nil {
			t.Fatal(err)
		}
		err = i.Set(t.Context(), rota.SetRequest{Credential: c})
		wantError(t, err, rota.ClassStop, nil, "refers to "+s.URL, "url of connection directory")
	}
}

func TestTheServersLogHasNoPassword(t *testing.T) {
	s := start(t, testenv.SlapdOptions{})
	for _, cfg := range []EntryConfig{{}, {Hash: SchemeSSHA}, {Two: true}} {
		cfg.DN = bare(t, s)
		c := rotate(t, issuerOf(t, connect(t, admin(s)), cfg))
		log, err := os.ReadFile(s.LogFile())
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(log), cfg.DN) || strings.Contains(string(log), c.Field(rota.FieldPassword)) {
			t.Error("the log has the password, or nothing of the entry")
		}
	}
}

// A server without a scheme stores its hashes all the same, and lets nobody in with
// them: neither with the new password nor with the old one, hashed again.
func TestASchemeThatTheServerLacksLeavesThePasswordAlone(t *testing.T) {
	s := start(t, testenv.SlapdOptions{})
	c, dn := connect(t, admin(s)), app(t, s)
	old := rotate(t, issuerOf(t, c, EntryConfig{DN: dn, Hash: SchemeSSHA}))
	i := issuerOf(t, c, EntryConfig{DN: dn, Hash: Scheme512})
	next, err := i.Create(t.Context(), rota.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Set(t.Context(), rota.SetRequest{Credential: next}); rota.ClassOf(err) != rota.ClassStop || !logsIn(t, s, old) {
		t.Errorf("set: %v; the old password logs in: %v", err, logsIn(t, s, old))
	}
}
