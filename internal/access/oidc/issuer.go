package oidc

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
)

// Issuer is a trusted identity provider, and the identities it may vouch for.
type Issuer struct {
	// Name is short, for the audit: callers are "oidc:<name>:…". Required.
	Name string
	// URL is the provider's URL, exactly as in the "iss" of its tokens. It must
	// be HTTPS, except on this machine. Required.
	URL string
	// Audience is what the tokens' "aud" must hold: a name for this Rota that
	// nobody else uses, so that tokens meant for others are of no use here.
	// Required.
	Audience string
	// Bindings say which tokens are accepted. A token that matches none is
	// refused.
	Bindings []Binding

	// JWKS is the URL of the keys, if not the one in the provider's discovery
	// document.
	JWKS string
	// CAFile has the CA certificates, PEM, to verify the provider's with.
	// Defaults to the system's.
	CAFile string
	// TokenFile has a bearer token that the provider requires for access to its
	// keys, as Kubernetes does. It is read again for each request.
	TokenFile string
}

// Binding grants rules to the tokens whose claims match. A token that matches
// several gets the first one's principal and the rules of all.
type Binding struct {
	// Claims are patterns for the claims' values, all of which must match, with
	// "*" for any characters. For a list, one element must match; true, false
	// and numbers are compared as text. "a/b" is claim b inside claim a.
	// Required.
	Claims map[string]string
	// Principal names the caller in the audit, after "oidc:<name>:".
	// Placeholders such as {project_path} are filled in from the claims.
	// Defaults to {sub}.
	Principal access.Template
	// Rules are what the caller may do. Their patterns are templates too.
	// Required.
	Rules []access.Rule
}

var issuerName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)

// Validate rejects configurations that can't be intended, with a hint.
func (i Issuer) Validate() error {
	if err := i.validate(); err != nil {
		return fmt.Errorf("issuer %q: %w", i.Name, err)
	}
	return nil
}

func (i Issuer) validate() error {
	if !issuerName.MatchString(i.Name) {
		return rota.WithRemedies(errors.New("invalid name"), rota.Configure("", "up to 32 lowercase letters, digits, _ and -, such as gitlab"))
	}
	if err := checkURL("url", i.URL); err != nil {
		return err
	}
	if i.JWKS != "" {
		if err := checkURL("jwks", i.JWKS); err != nil {
			return err
		}
	}
	if strings.TrimSpace(i.Audience) != i.Audience || i.Audience == "" || strings.Contains(i.Audience, "*") {
		return rota.WithRemedies(errors.New("its audience is missing or not plain text: tokens issued for others would be accepted"), rota.Configure("", "audience: https://rota.example.com"))
	}
	if len(i.Bindings) == 0 {
		return rota.WithRemedies(errors.New("it has no bindings, so no token would be accepted"), rota.Configure("", "bindings, each with claims and rules"))
	}
	for n, b := range i.Bindings {
		if err := b.validate(i.URL); err != nil {
			return fmt.Errorf("binding %d: %w", n+1, err)
		}
	}
	return nil
}

// publicIssuers are providers that issue tokens to anyone, and the claims of
// which at least one must say whose token it is.
var publicIssuers = map[string][]string{
	"https://token.actions.githubusercontent.com": {"sub", "repository", "repository_id", "repository_owner", "repository_owner_id"},
	"https://gitlab.com":                          {"sub", "project_path", "project_id", "namespace_path", "namespace_id", "user_login", "user_id"},
	"https://accounts.google.com":                 {"sub", "email", "hd"},
}

func (b Binding) validate(url string) error {
	if len(b.Claims) == 0 {
		return rota.WithRemedies(errors.New("it has no claims: every token of the issuer would be accepted"), rota.Configure("", "claims: {project_path: shop/api}"))
	}
	for name, pattern := range b.Claims {
		if name == "" || strings.Trim(pattern, "*") == "" {
			return rota.WithRemedies(fmt.Errorf("claim %q: an empty pattern, or one of only *, matches anything", name), rota.Configure("", "a prefix of the value, such as shop/*"))
		}
	}
	if who, ok := publicIssuers[strings.TrimSuffix(url, "/")]; ok && !slices.ContainsFunc(who, func(claim string) bool {
		pattern, has := b.Claims[claim]
		for _, label := range []string{"project_path:", "repo:", "repository_owner:"} {
			pattern = strings.TrimPrefix(pattern, label) // prefixes of "sub"
		}
		return has && !strings.HasPrefix(pattern, "*")
	}) {
		return rota.WithRemedies(fmt.Errorf("anyone can get a token from %s, and no claim says whose it must be", url), rota.Configure("", fmt.Sprintf("one of %s, with a pattern that doesn't begin with *", strings.Join(who, ", "))))
	}
	if err := b.Principal.Validate(nil); err != nil {
		return err
	}
	return access.ValidateTemplates(b.Rules, nil)
}

// checkURL requires HTTPS, so that nobody can swap the keys in transit.
func checkURL(field, text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return rota.WithRemedies(fmt.Errorf("%s is not the URL of an identity provider", field), rota.Configure("", "https://gitlab.example.com"))
	}
	if !isSecure(u) {
		return rota.WithRemedies(fmt.Errorf("%s: %s is not HTTPS", field, text), rota.Configure("", fmt.Sprintf("https://%s", u.Host)))
	}
	return nil
}

func isSecure(u *url.URL) bool {
	if u.Scheme == "https" {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || ip.IsLoopback())
}
