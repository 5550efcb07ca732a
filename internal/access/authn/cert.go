package authn

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/rota-dev/rota/internal/access"
)

// CertBinding gives rules to client certificates. All fields that are given
// must match, each a pattern with "*" for any characters. A certificate that
// matches several bindings has the first one's principal and the rules of all.
type CertBinding struct {
	CommonName   string // of the subject
	Organization string // one of the subject's
	DNS          string // one of the alternative names
	URI          string // one of the alternative names, such as a SPIFFE id
	// Principal names the caller in the audit, after "mtls:". Of its places
	// {cn}, {o}, {dns} and {uri} each is the value that the field above matched.
	// Defaults to the first that is given of uri, dns, cn and o.
	Principal access.Template
	Rules     []access.Rule // their patterns are templates too
}

// fields are the parts that a certificate is matched by, in the order of how
// well they tell one from another.
func (b CertBinding) fields() []certField {
	return []certField{
		{"uri", b.URI, func(c *x509.Certificate) (all []string) {
			for _, u := range c.URIs {
				all = append(all, u.String())
			}
			return all
		}},
		{"dns", b.DNS, func(c *x509.Certificate) []string { return c.DNSNames }},
		{"cn", b.CommonName, func(c *x509.Certificate) []string { return []string{c.Subject.CommonName} }},
		{"o", b.Organization, func(c *x509.Certificate) []string { return c.Subject.Organization }},
	}
}

type certField struct {
	placeholder   string
	pattern string
	values      func(*x509.Certificate) []string
}

// Validate refuses what can't be meant so.
func (b CertBinding) Validate() error {
	var places []string
	for _, f := range b.fields() {
		if f.pattern != "" {
			places = append(places, f.placeholder)
		}
	}
	if len(places) == 0 {
		return errors.New("it says nothing of the certificate (try: dns: orders.shop.internal)")
	}
	if err := b.Principal.Validate(places); err != nil {
		return err
	}
	return access.ValidateTemplates(b.Rules, places)
}

// match gives what the fields matched.
func (b CertBinding) match(cert *x509.Certificate) (map[string]string, bool) {
	values := map[string]string{}
	for _, f := range b.fields() {
		if f.pattern == "" {
			continue
		}
		for _, v := range f.values(cert) {
			if _, found := values[f.placeholder]; !found && v != "" && access.Match(f.pattern, v) {
				values[f.placeholder] = v
			}
		}
		if _, found := values[f.placeholder]; !found {
			return nil, false
		}
	}
	return values, len(values) > 0
}

func (b CertBinding) principalTemplate() access.Template {
	if b.Principal != "" {
		return b.Principal
	}
	for _, f := range b.fields() {
		if f.pattern != "" {
			return access.Template("{" + f.placeholder + "}")
		}
	}
	return ""
}

// certificate gives the caller of a certificate that the TLS handshake has
// verified. A connection may outlive it, so that its end is looked at again.
func (a *Authenticator) certificate(state *tls.ConnectionState) (access.Caller, error) {
	if state == nil || len(state.VerifiedChains) == 0 || len(state.VerifiedChains[0]) == 0 {
		return access.Caller{}, errNoCredentials
	}
	cert := state.VerifiedChains[0][0]
	if now := a.opts.Now(); now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return access.Caller{}, errors.New("the client certificate is not valid at this time")
	}
	caller := access.Caller{Method: "mtls"}
	for _, b := range a.opts.Certs {
		values, ok := b.match(cert)
		if !ok {
			continue
		}
		value := func(place string) (string, bool) { v, ok := values[place]; return v, ok }
		if caller.Principal == "" {
			name, err := b.principalTemplate().Fill(value)
			if err != nil {
				return access.Caller{}, err
			}
			caller.Principal = "mtls:" + name
		}
		rules, err := access.FillRules(b.Rules, value)
		if err != nil {
			return access.Caller{}, err
		}
		caller.Rules = append(caller.Rules, rules...)
	}
	if caller.Principal == "" {
		err := fmt.Errorf("no binding matches the client certificate %.200q", cert.Subject)
		if access.CheckName(cert.Subject.CommonName) == nil {
			err = &claimError{"mtls:" + cert.Subject.CommonName, err}
		}
		return access.Caller{}, err
	}
	return caller, nil
}
