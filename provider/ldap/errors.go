package ldap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// stop is an error that only a person can end.
func (c *Connection) stop(op string, err error, remedies []rota.Remedy) error {
	return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: rota.ClassStop, Err: err, Remedies: remedies}
}

// code is the result that the server answered with.
func code(err error) uint16 {
	if e, ok := errors.AsType[*ldap.Error](err); ok {
		return e.ResultCode
	}
	return 0
}

// failed turns an error into a classified one whose text contains no secret.
func (c *Connection) failed(ctx context.Context, op string, err error, used ...rota.Credential) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*rota.Error](err); ok {
		return err
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	class, remedies, sentinel := c.classify(err)
	own := rota.NewCredential(map[string]string{rota.FieldPassword: c.cfg.Password})
	text := rota.Sanitize(errors.New(describe(err)), append(slices.Clone(used), own)...).Error()
	return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: class, Remedies: remedies,
		Err: provider.Opaque(rota.Brief(rota.OneLine(text)), err, sentinel)}
}

// hashed is added to the text of a quality check's refusal if what was sent is a hash,
// which the server can't look into: any other password would be refused too.
const hashed = "it can't check a hash"

// refusedHash is a refusal with that text.
func refusedHash(err error) error {
	if code(err) != ldap.LDAPResultConstraintViolation || !strings.Contains(err.Error(), "quality") {
		return err
	}
	return ldap.NewError(ldap.LDAPResultConstraintViolation, fmt.Errorf("%s: %s", "Password fails quality checking policy", hashed))
}

// startTLS begins the text of an error of StartTLS.
const startTLS = "StartTLS: "

// describe is what happened, in words.
func describe(err error) string {
	e, ok := errors.AsType[*ldap.Error](err)
	switch {
	case provider.TimedOut(err):
		return "no response in time"
	case !ok:
		return err.Error()
	case e.ResultCode == ldap.ErrorNetwork || e.ResultCode >= ldap.ErrorFilterCompile && e.ResultCode <= ldap.ErrorMalformedPacket:
		return "it can't be reached: " + e.Err.Error()
	}
	text := ""
	if strings.HasPrefix(err.Error(), startTLS) {
		text = startTLS
	}
	text += fmt.Sprintf("it answered %s (%d)", ldap.LDAPResultCodeMap[e.ResultCode], e.ResultCode)
	if e.Err != nil && e.Err.Error() != "" {
		text += ": " + e.Err.Error()
	}
	return text
}

// classify says what can be done about an error of Rota's own session, or of a login
// that failed for another reason than its password.
func (c *Connection) classify(err error) (rota.Class, []rota.Remedy, error) {
	text := err.Error()
	_, login := errors.AsType[*ownLogin](err)
	switch n := code(err); {
	case provider.Untrusted(err), strings.Contains(text, "failed to verify certificate"): // StartTLS gives the text alone
		return rota.ClassStop, rota.Outside("tls_ca with the authority of the server's certificate, and the host that it is made for"), nil
	case provider.Plaintext(err), strings.Contains(text, "does not look like a TLS handshake"):
		return rota.ClassStop, rota.Outside("ldap:// in url of connection " + c.name + ", for StartTLS, or the port of ldaps"), nil
	case strings.HasPrefix(text, startTLS) && n != ldap.ErrorNetwork:
		return rota.ClassStop, rota.Outside("set up TLS at the server, or ldaps:// in url of connection " + c.name), nil
	case provider.TimedOut(err):
		return rota.ClassWait, rota.Outside("check url of connection " + c.name + ", see why the server is slow, or set a longer timeout"), nil
	case errors.Is(err, context.Canceled):
		return rota.ClassWait, nil, nil
	case n == 0 || n >= ldap.ErrorNetwork && n < 300:
		return rota.ClassWait, rota.Outside("check url of connection " + c.name + ", that the server runs there, and that no firewall is on the way"), nil
	case n == ldap.LDAPResultInvalidCredentials:
		return rota.ClassStop, rota.Outside("check bind_dn and password of connection " + c.name), nil
	case n == ldap.LDAPResultInsufficientAccessRights && strings.Contains(text, "old password"):
		return rota.ClassStop, rota.Outside("pwdSafeModify: FALSE in the entry's password policy: Rota doesn't give the old password along with the new one"), nil
	case n == ldap.LDAPResultInsufficientAccessRights:
		return rota.ClassStop, rota.Outside(`access to attrs=userPassword by dn.exact="` + c.cfg.BindDN + `" write`), nil
	case n == ldap.LDAPResultNoSuchObject && !login:
		return rota.ClassStop, rota.Outside("the entry's new dn in rota.yaml, if it was moved; and let " + c.cfg.BindDN + " read it"), rota.ErrNotFound
	case n == ldap.LDAPResultReferral:
		return rota.ClassStop, rota.Outside("the address of the server that accepts changes, in url of connection " + c.name + referrals(err)), nil
	case n == ldap.LDAPResultConfidentialityRequired, n == ldap.LDAPResultStrongAuthRequired:
		return rota.ClassStop, rota.Outside("start_tls: true, or ldaps:// in url of connection " + c.name), nil
	case n == ldap.LDAPResultConstraintViolation && strings.Contains(text, "too young"):
		return rota.ClassWait, rota.Outside("a shorter pwdMinAge in the entry's password policy"), nil
	case n == ldap.LDAPResultConstraintViolation && strings.Contains(text, "only allows one password"):
		return rota.ClassStop, rota.Configure("passwords", "passwords: 1"), nil
	case n == ldap.LDAPResultConstraintViolation && (strings.Contains(text, "storage scheme") || strings.Contains(text, hashed)):
		return rota.ClassStop, rota.Outside("leave out hash and passwords, so that the server sees the password; or a password policy for the entry that accepts hashes (pwdCheckQuality: 1)"), nil
	case n == ldap.LDAPResultConstraintViolation:
		return rota.ClassRegenerate, rota.Outside("length, alphabet and exclude that satisfy the entry's password policy"), nil
	case n == ldap.LDAPResultUnwillingToPerform && strings.Contains(text, "restrict"), n == ldap.LDAPResultAttributeOrValueExists,
		n == ldap.LDAPResultBusy, n == ldap.LDAPResultUnavailable, n == ldap.LDAPResultTimeLimitExceeded, n == ldap.LDAPResultOther:
		return rota.ClassWait, rota.Outside("see the server's log"), nil
	}
	return rota.ClassStop, rota.Outside("see the server's log"), nil
}

// referrals are the servers that a referral names, for a remedy.
func referrals(err error) string {
	e, _ := errors.AsType[*ldap.Error](err)
	if e == nil || e.Packet == nil || len(e.Packet.Children) < 2 {
		return ""
	}
	var all []string
	for _, part := range e.Packet.Children[1].Children {
		if part.ClassType != ber.ClassContext || part.Tag != 3 {
			continue
		}
		for _, uri := range part.Children {
			place, _, _ := strings.Cut(uri.Data.String(), "?")
			all = append(all, place)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return ": it refers to " + strings.Join(all, ", ")
}
