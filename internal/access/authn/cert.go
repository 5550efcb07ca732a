package authn

import (
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
)

// CertBinding grants rules to client certificates. Every field that is set must
// match; each is a pattern with "*" for any characters. A certificate that
// matches several bindings gets the first one's principal and the rules of all.
type CertBinding struct {
	CommonName   string // of the subject
	Organization string // one of the subject's
	DNS          string // one of the subject alternative names
	URI          string // one of the subject alternative names, such as a SPIFFE ID
	// Principal names the caller in the audit, after "mtls:". Its placeholders
	// {cn}, {o}, {dns} and {uri} stand for the values that the fields above
	// matched. Defaults to the first field that is set of uri, dns, cn and o.
	Principal access.Template
	Rules     []access.Rule // their patterns are templates too
}

// fields are the parts of a certificate to match, most distinctive first.
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
	placeholder string
	pattern     string
	values      func(*x509.Certificate) []string
}

// Validate rejects bindings that can't be intended.
func (b CertBinding) Validate() error {
	var places []string
	for _, f := range b.fields() {
		if f.pattern != "" {
			places = append(places, f.placeholder)
		}
	}
	if len(places) == 0 {
		return rota.WithRemedies(errors.New("it matches no part of the certificate"), rota.Configure("", "dns: orders.shop.internal"))
	}
	if err := b.Principal.Validate(places); err != nil {
		return err
	}
	return access.ValidateTemplates(b.Rules, places)
}

// match returns what the fields matched.
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

// certificate returns the caller of a certificate that the TLS handshake
// verified. A connection may outlive its certificate, so the expiry is checked
// again.
func (a *Authenticator) certificate(cert *x509.Certificate) (access.Caller, error) {
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
