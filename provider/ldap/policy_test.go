package ldap

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

// policyAccess lets Rota read password policies, as its page says.
const policyAccess = `access to dn.base="dc=example,dc=com" attrs=entry
  by dn.exact="cn=rota,dc=example,dc=com" search
access to filter=(objectClass=pwdPolicy)
  by dn.exact="cn=rota,dc=example,dc=com" read
`

// OpenLDAP ends an administrator's lock with any new password. Rota doesn't set one.
func TestAnEntryThatSomebodyLockedStaysLocked(t *testing.T) {
	s := policed(t, map[string]string{"pwdCheckQuality": "0", "pwdLockout": "TRUE"})
	c := connect(t, admin(s))
	for name, two := range map[string]bool{"one password": false, "two": true} {
		t.Run(name, func(t *testing.T) {
			dn := bare(t, s)
			i := issuerOf(t, c, EntryConfig{DN: dn, Two: two})
			old := rotate(t, i)
			s.Set(t, dn, lockedTime, lockedForGood)
			next, err := i.Create(t.Context(), rota.CreateRequest{})
			if err != nil {
				t.Fatal(err)
			}
			for _, cred := range []rota.Credential{next, testenv.With(old, rota.FieldPassword, "another-one-0123456789")} {
				wantError(t, i.Set(t.Context(), rota.SetRequest{Credential: cred}), rota.ClassStop, nil, "somebody locked "+dn, "remove pwdAccountLockedTime")
				if logsIn(t, s, cred) {
					t.Error("the new password unlocked it")
				}
			}
			if f := testenv.FindingOf(t, i, "isn't locked"); f.OK || f.Warning || len(f.Remedies) == 0 {
				t.Errorf("check says %+v", f)
			}
			if all, err := i.(rota.Lister).List(t.Context()); err != nil || len(all) != 1 || all[0].Unlock == "" {
				t.Errorf("listed are %+v, %v", all, err)
			}
			s.Set(t, dn, lockedTime)
			rotate(t, i)
		})
	}
}

// Removing a password leaves the lock alone, so it's done.
func TestRemovingAPasswordUnlocksNothing(t *testing.T) {
	s := policed(t, map[string]string{"pwdCheckQuality": "0", "pwdLockout": "TRUE"})
	dn := bare(t, s)
	i := issuerOf(t, connect(t, admin(s)), EntryConfig{DN: dn, Two: true})
	old, current := rotate(t, i), rotate(t, i)
	s.Set(t, dn, lockedTime, lockedForGood)
	if err := i.Delete(t.Context(), rota.RetireRequest{CredentialID: i.CredentialID(old)}); err != nil || logsIn(t, s, current) {
		t.Errorf("it's unlocked, or %v", err)
	}
	s.Set(t, dn, lockedTime)
	if logsIn(t, s, old) || !logsIn(t, s, current) {
		t.Error("another password was removed")
	}
}

// What a password policy would refuse shows before anything changes, if Rota may read
// the policy, and says what to change when it's refused.
func TestPoliciesThatRefuseAreSeen(t *testing.T) {
	s := start(t, testenv.SlapdOptions{Modules: []string{"ppolicy"}, Lines: policyAccess + "overlay ppolicy\nppolicy_default cn=policy,dc=example,dc=com\n"})
	s.Add(t, "cn=policy,dc=example,dc=com", map[string]string{"objectClass": "device", "cn": "policy"})
	s.Add(t, "cn=lax,dc=example,dc=com", map[string]string{"objectClass": "device", "cn": "lax"})
	usual := map[string]string{"pwdMinAge": "0", "pwdSafeModify": "FALSE", "pwdCheckQuality": "1"}
	c := connect(t, admin(s))
	for _, test := range []struct {
		name, attribute, value string
		cfg                    EntryConfig
		words                  []string // of the check
		refused                []string // of the error, if it's refused at once
	}{
		{"nothing", "pwdMinAge", "0", EntryConfig{Two: true}, nil, nil},
		{"a lowest age", "pwdMinAge", "3600", EntryConfig{}, []string{"stay for a while, if that policy is the entry's", "pwdMinAge: 0 in cn=policy", "can't be taken back"}, nil},
		{"the old password", "pwdSafeModify", "TRUE", EntryConfig{}, []string{"asks for the old password", "pwdSafeModify: FALSE"}, []string{"pwdSafeModify: FALSE"}},
		{"no hashes, with two passwords", "pwdCheckQuality", "2", EntryConfig{Two: true}, []string{"rejects hashes", "leave out hash and passwords"}, []string{"leave out hash and passwords"}},
		{"no hashes, of Rota's", "pwdCheckQuality", "2", EntryConfig{Hash: SchemeSSHA}, []string{"rejects hashes"}, []string{"leave out hash"}},
		{"no hashes, and the server's", "pwdCheckQuality", "2", EntryConfig{}, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			policy := maps.Clone(usual)
			policy[test.attribute] = test.value
			police(t, s, policy)
			cfg := test.cfg
			cfg.DN = bare(t, s)
			i := issuerOf(t, c, cfg)
			f := testenv.FindingOf(t, i, "password policies")
			text := f.Detail + " " + rota.Hint(f.Remedies)
			if f.OK != (test.words == nil) || f.Warning != (test.words != nil) {
				t.Errorf("check says %+v", f)
			}
			for _, word := range test.words {
				if !strings.Contains(text, word) {
					t.Errorf("no %q in %s", word, text)
				}
			}
			if test.refused == nil {
				rotate(t, i)
				return
			}
			cred, err := i.Create(t.Context(), rota.CreateRequest{})
			if err != nil {
				t.Fatal(err)
			}
			wantError(t, i.Set(t.Context(), rota.SetRequest{Credential: cred}), rota.ClassStop, nil, test.refused...)
			s.Set(t, cfg.DN, "pwdPolicySubentry", "cn=policy,dc=example,dc=com")
			if f := testenv.FindingOf(t, i, "password policies"); f.OK || f.Warning {
				t.Errorf("with the entry's own policy, check says %+v", f)
			}
		})
	}
}

// Active Directory takes what's in userPassword for the password itself, or for
// nothing. The server here only says that it's one.
func TestActiveDirectoryIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "root")
	if err := os.WriteFile(file, []byte("dn:\nsupportedCapabilities: "+activeDirectory+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, testenv.SlapdOptions{Global: "attributetype ( 1.2.840.113556.1.4.9999 NAME 'supportedCapabilities' EQUALITY objectIdentifierMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.38 )\nrootDSE " + file + "\n"})
	i := issuerOf(t, connect(t, admin(s)), EntryConfig{DN: bare(t, s)})
	if f := testenv.FindingOf(t, i, "in userPassword"); f.OK || f.Warning || !strings.Contains(f.Detail, "Active Directory") {
		t.Errorf("check says %+v", f)
	}
	cred, err := i.Create(t.Context(), rota.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, i.Set(t.Context(), rota.SetRequest{Credential: cred}), rota.ClassStop, nil, "unicodePwd", "program of your own")
}
