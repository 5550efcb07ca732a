package config

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/access/authn"
	"github.com/rota-dev/rota/internal/access/oidc"
	"github.com/rota-dev/rota/provider"
)

// DefaultListen is the address rota serve listens on by default.
const DefaultListen = "127.0.0.1:8470"

// defaultMetricsSecrets limits how many time series Prometheus has to keep.
const defaultMetricsSecrets = 10_000

// ServerSettings are the parts of the file that rota serve needs, with all
// references resolved.
type ServerSettings struct {
	Listen            string
	CertFile, KeyFile string // both or neither
	ClientCAFile      string
	ClientCRLFile     string
	Proxies           []netip.Prefix
	Region, Account   string
	Functions         map[string]string
	MetricsOpen       bool
	MetricsSecrets    int // the largest number of secrets for which each gets its own metrics
	Issuers           []oidc.Issuer
	Certificates      []authn.CertBinding
	Limits            authn.Limits
	AnchorEvery       time.Duration
	Syslog            string
}

// Server resolves the parts of the file that configure the daemon.
func (f *File) Server(ctx context.Context, env Environment) (ServerSettings, error) {
	r := provider.NewBuild(ctx, newWiring(f, env))
	d := f.Document
	s := ServerSettings{
		Listen:      cmp.Or(d.Server.Listen.Text, DefaultListen),
		Functions:   map[string]string{},
		MetricsOpen: d.Server.Metrics.Text != "admin",
		AnchorEvery: time.Hour,

		MetricsSecrets: defaultMetricsSecrets,
	}
	if n := d.Server.MetricsSecrets; n.IsSet() {
		s.MetricsSecrets = n.Number
	}
	if t := d.Server.TLS; t != nil {
		s.CertFile, s.KeyFile, s.ClientCAFile = r.Text(t.Cert), r.Text(t.Key), r.Text(t.ClientCA)
		s.ClientCRLFile = r.Text(t.ClientCRL)
	}
	for _, p := range d.Server.Proxies {
		s.Proxies = append(s.Proxies, netip.MustParsePrefix(p.Text)) // validated with the file
	}
	if e := d.Server.SecretsManager; e != nil {
		s.Region, s.Account, s.Functions = e.Region.Text, e.Account.Text, r.TextMap(e.Functions)
	}
	if a := d.Server.Audit; a != nil {
		s.Syslog = a.Syslog.Text
		s.AnchorEvery = cmp.Or(a.AnchorEvery.Length, s.AnchorEvery)
	}
	for _, i := range d.Access.Issuers {
		s.Issuers = append(s.Issuers, i.issuer())
	}
	for _, c := range d.Access.Certificates {
		s.Certificates = append(s.Certificates, c.binding())
	}
	if l := d.Access.Limits; l != nil {
		s.Limits = authn.Limits{
			Principal: l.Principal.rate(), Address: l.Address.rate(),
			Open: authn.OpenLimits{Principal: l.Principal.open(), Address: l.Address.open()},
		}
	}
	return s, r.Err()
}

func (r *Rate) rate() authn.Rate {
	if r == nil {
		return authn.Rate{}
	}
	return authn.Rate{PerSecond: float64(r.PerSecond.Number), Burst: r.Burst.Number}
}

// open is how many requests may stay open; 0 for the default.
func (r *Rate) open() int {
	if r == nil {
		return 0
	}
	return r.Open.Number
}

// rules parses the texts as rules. It skips invalid ones, which validation
// reports.
func rules(texts []Plain) []access.Rule {
	var out []access.Rule
	for _, t := range texts {
		if rule, err := access.ParseRule(t.Text); err == nil {
			out = append(out, rule)
		}
	}
	return out
}

func (i *OIDCIssuer) issuer() oidc.Issuer {
	out := oidc.Issuer{
		Name: i.Name.Text, URL: i.URL.Text, Audience: i.Audience.Text,
		JWKS: i.JWKS.Text, CAFile: i.CAFile.Text, TokenFile: i.TokenFile.Text,
	}
	for _, b := range i.Bindings {
		if b != nil {
			out.Bindings = append(out.Bindings, oidc.Binding{Claims: provider.PlainTexts(b.Claims), Principal: access.Template(b.Principal.Text), Rules: rules(b.Rules)})
		}
	}
	return out
}

func (c *Certificate) binding() authn.CertBinding {
	return authn.CertBinding{
		CommonName: c.CommonName.Text, Organization: c.Organization.Text, DNS: c.DNS.Text, URI: c.URI.Text,
		Principal: access.Template(c.Principal.Text), Rules: rules(c.Rules),
	}
}

// ListenOn overrides the address to listen on. It returns an error if the
// address would be an error in the file.
func (s *ServerSettings) ListenOn(address string) error {
	if problem, hint := listenProblem(address, s.CertFile != "" || len(s.Proxies) > 0); problem != "" {
		return rota.WithRemedies(fmt.Errorf("listen: %s", problem), rota.Configure("", hint))
	}
	s.Listen = address
	return nil
}

// listenProblem says what is wrong with an address to listen on, or "" if it's
// fine.
func listenProblem(address string, private bool) (problem, hint string) {
	at, err := netip.ParseAddrPort(address)
	switch {
	case err != nil:
		return fmt.Sprintf("%q is no address with a port", address), "127.0.0.1:8470, 0.0.0.0:8470"
	case !at.Addr().IsLoopback() && !private:
		return fmt.Sprintf("others than this machine can reach %s, and without tls anybody between can read what it answers", address),
			"tls: {cert: ..., key: ...}, or trusted_proxies where one of them does the TLS"
	}
	return "", ""
}

// server validates the parts of the file that configure the daemon.
func (v *validator) server() {
	s := v.doc.Server
	if s.Listen.IsSet() {
		if problem, hint := listenProblem(s.Listen.Text, s.TLS != nil || len(s.Proxies) > 0); problem != "" {
			v.add(s.Listen.At, Path{"server", "listen"}, hint, "%s", problem)
		}
	}
	if t := s.TLS; t != nil && t.ClientCRL.IsSet() && !t.ClientCA.IsSet() {
		v.add(t.ClientCRL.At, Path{"server", "tls", "client_crl"}, "client_ca: ... beside it", "without a client_ca there are no client certificates to revoke")
	}
	for _, p := range s.Proxies {
		if _, err := netip.ParsePrefix(p.Text); err != nil && p.Text != "" {
			v.add(p.At, Path{"server", "trusted_proxies"}, "10.0.0.0/8", "%q is no network", p.Text)
		}
	}
	if e := s.SecretsManager; e != nil && e.Account.IsSet() && (len(e.Account.Text) != 12 || strings.Trim(e.Account.Text, "0123456789") != "") {
		v.add(e.Account.At, Path{"server", "secrets_manager", "account"}, `"000000000000"`, "must be twelve digits")
	}
	if a := s.Audit; a != nil {
		seen := map[string]bool{}
		for n, x := range a.Anchors {
			if x == nil {
				continue
			}
			v.choice(&x.Kind, provider.IssuerFacts{}, "")
			name := x.name()
			if name != "" && seen[name] {
				v.add(x.At, Path{"server", "audit", "anchors"}.Item(strconv.Itoa(n)), "one of them, or another host for one", "another one is called %s too, so nobody could tell which of the two fails", name)
			}
			seen[name] = true
		}
		if _, _, ok := strings.Cut(a.Syslog.Text, "://"); a.Syslog.IsSet() && !ok {
			v.add(a.Syslog.At, Path{"server", "audit", "syslog"}, "tls://logs.example.org:6514", "%q is no address", a.Syslog.Text)
		}
	}
	v.access()
}

func (v *validator) access() {
	check := func(texts []Plain, path Path) {
		for _, t := range texts {
			rule, err := access.ParseRule(t.Text)
			if err == nil {
				err = rule.Validate()
			}
			if err != nil && t.Text != "" {
				v.fail(t.At, path, err)
			}
		}
	}
	for n, i := range v.doc.Access.Issuers {
		path := Path{"access", "issuers"}.Item(strconv.Itoa(n))
		if i == nil || v.isBad(path) {
			continue
		}
		before := len(v.list)
		for _, b := range i.Bindings {
			if b != nil {
				check(b.Rules, path.Key("bindings").Key("rules"))
			}
		}
		if err := i.issuer().Validate(); err != nil && len(v.list) == before {
			v.fail(i.At, path, err)
		}
	}
	for n, c := range v.doc.Access.Certificates {
		path := Path{"access", "certificates"}.Item(strconv.Itoa(n))
		if c == nil || v.isBad(path) {
			continue
		}
		before := len(v.list)
		check(c.Rules, path.Key("rules"))
		if err := c.binding().Validate(); err != nil && len(v.list) == before {
			v.fail(c.At, path, err)
		}
		if v.doc.Server.TLS == nil || !v.doc.Server.TLS.ClientCA.IsSet() {
			v.add(c.At, path, "server: {tls: {client_ca: ...}}", "without a client_ca no client's certificate is believed")
		}
	}
}
