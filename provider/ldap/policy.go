package ldap

import (
	"context"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// policyAttributes are those of a password policy that can keep Rota from setting a
// password, or from putting one back.
var policyAttributes = []string{"pwdMinAge", "pwdSafeModify", "pwdCheckQuality"}

// policed looks for what a password policy would refuse. Which policy is the default
// one isn't shown, so without one of the entry's own it looks at all that it may read.
// There's no finding without any.
func (e *entry) policed(ctx context.Context, now state) []rota.Finding {
	f := rota.Finding{OK: true, Check: "password policies let Rota set a password of " + e.cfg.DN}
	var all []*ldap.Entry
	hashes := e.cfg.Two || e.cfg.Hash != SchemeServer
	err := e.conn.session(ctx, f.Check, func(conn *ldap.Conn) (err error) {
		if !hashes {
			offered, err := offers(conn, passwordModify)
			if err != nil {
				return err
			}
			hashes = !offered
		}
		all, err = e.policies(conn, now)
		return err
	})
	if err != nil {
		return []rota.Finding{provider.Failed(f.Check, err)}
	}
	if len(all) == 0 {
		return nil
	}
	var refuses []string
	for _, p := range all {
		if n := p.GetEqualFoldAttributeValue("pwdMinAge"); n != "" && n != "0" {
			meanwhile := "a new password that fails its test can't be taken back"
			if e.cfg.Two {
				meanwhile = "the next rotation waits"
			}
			f.Remedies = append(f.Remedies, rota.Outside("pwdMinAge: 0 in "+p.DN+": until its "+n+" seconds are over, "+meanwhile)...)
		}
		if strings.EqualFold(p.GetEqualFoldAttributeValue("pwdSafeModify"), "true") {
			refuses = append(refuses, p.DN+" asks for the old password along with the new one")
			f.Remedies = append(f.Remedies, rota.Outside("pwdSafeModify: FALSE in "+p.DN)...)
		}
		if hashes && p.GetEqualFoldAttributeValue("pwdCheckQuality") == "2" {
			refuses = append(refuses, p.DN+" rejects hashes, and Rota would send one")
			f.Remedies = append(f.Remedies, rota.Outside("leave out hash and passwords, so that the server sees the password; or pwdCheckQuality: 1 in "+p.DN)...)
		}
	}
	if len(f.Remedies) == 0 {
		return []rota.Finding{f}
	}
	f.OK, f.Warning = false, len(refuses) == 0 || now.policy == ""
	if f.Detail = strings.Join(refuses, "; "); f.Detail == "" {
		f.Detail = "a password has to stay for a while"
	}
	if now.policy == "" {
		f.Detail += ", if that policy is the entry's"
	}
	return []rota.Finding{f}
}

// policies are the entry's own password policy, or else those of its directory.
func (e *entry) policies(conn *ldap.Conn, now state) ([]*ldap.Entry, error) {
	base, scope := now.policy, ldap.ScopeBaseObject
	if base == "" {
		suffixes, err := says(conn, "namingContexts")
		if err != nil {
			return nil, err
		}
		slices.SortFunc(suffixes, func(a, b string) int { return len(b) - len(a) })
		i := slices.IndexFunc(suffixes, func(suffix string) bool {
			same, err := normalize(suffix)
			return err == nil && strings.HasSuffix(e.dn, ","+same)
		})
		if i < 0 {
			return nil, nil
		}
		base, scope = suffixes[i], ldap.ScopeWholeSubtree
	}
	found, err := conn.Search(ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=pwdPolicy)", policyAttributes, nil))
	if n := code(err); n > 0 && n < ldap.ErrorNetwork { // it may not
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return found.Entries, nil
}
