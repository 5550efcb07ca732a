package oidc

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/rota-dev/rota/internal/access"
)

// Issuer is an identity provider that is trusted, and whom it may name.
type Issuer struct {
	// Name is short, for the audit: callers are "oidc:<name>:…". Required.
	Name string
	// URL is the provider as its tokens' "iss" has it, to the letter. HTTPS,
	// except on this machine. Required.
	URL string
	// Audience is what the tokens' "aud" must hold: a name for this Rota that
	// nobody else uses, so that tokens meant for others are of no use here.
	// Required.
	Audience string
	// Bindings say which tokens are let in. One that matches none is refused.
	Bindings []Binding

	// JWKS is where the keys are, if not where the provider's discovery says.
	JWKS string
	// CAFile has the certificates, PEM, that the provider's is checked with.
	// Defaults to the system's.
	CAFile string
	// TokenFile has a bearer token that the provider asks for before it gives
	// its keys, as Kubernetes does. It is read anew for each request.
	TokenFile string
}

// Binding gives rules to the tokens whose claims match. A token that matches
// several has the first one's principal and the rules of all.
type Binding struct {
	// Claims are patterns of the claims' values, all of which must match, with
	// "*" for any characters. Of a list one element must match; true, false and
	// numbers are written so. "a/b" is claim b inside of claim a. Required.
	Claims map[string]string
	// Principal names the caller in the audit, after "oidc:<name>:". Places
	// such as {project_path} are filled from the claims. Defaults to {sub}.
	Principal access.Template
	// Rules are what the caller may do. Their patterns are templates too.
	// Required.
	Rules []access.Rule
}

var issuerName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)

// Validate refuses what can't be meant so, with a hint.
func (i Issuer) Validate() error {
	if err := i.validate(); err != nil {
		return fmt.Errorf("issuer %q: %w", i.Name, err)
	}
	return nil
}

func (i Issuer) validate() error {
	if !issuerName.MatchString(i.Name) {
		return errors.New("its name is not one (try: up to 32 small letters, digits, _ and -, such as gitlab)")
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
		return errors.New("its audience is missing or not a plain text: tokens that were made for others would be let in (try: audience: https://rota.example.com)")
	}
	if len(i.Bindings) == 0 {
		return errors.New("it has no binding, so that it lets nobody in (try: bindings, each with claims and rules)")
	}
	for n, b := range i.Bindings {
		if err := b.validate(i.URL); err != nil {
			return fmt.Errorf("binding %d: %w", n+1, err)
		}
	}
	return nil
}

// publicIssuers are providers that give a token to anybody, and the claims of which
// one must say whose it is.
var publicIssuers = map[string][]string{
	"https://token.actions.githubusercontent.com": {"sub", "repository", "repository_id", "repository_owner", "repository_owner_id"},
	"https://gitlab.com":                          {"sub", "project_path", "project_id", "namespace_path", "namespace_id", "user_login", "user_id"},
	"https://accounts.google.com":                 {"sub", "email", "hd"},
}

func (b Binding) validate(url string) error {
	if len(b.Claims) == 0 {
		return errors.New("it has no claims: every token of the issuer would be let in (try: claims: {project_path: shop/api})")
	}
	for name, pattern := range b.Claims {
		if name == "" || strings.Trim(pattern, "*") == "" {
			return fmt.Errorf("claim %q: a pattern of * alone, or none, says nothing (try: the beginning of the value, such as shop/*)", name)
		}
	}
	if who, ok := publicIssuers[strings.TrimSuffix(url, "/")]; ok && !slices.ContainsFunc(who, func(claim string) bool {
		pattern, has := b.Claims[claim]
		for _, label := range []string{"project_path:", "repo:", "repository_owner:"} {
			pattern = strings.TrimPrefix(pattern, label) // with which "sub" begins
		}
		return has && !strings.HasPrefix(pattern, "*")
	}) {
		return fmt.Errorf("anybody can have a token of %s, and no claim says whose it must be (try: one of %s, with a pattern that does not begin with *)", url, strings.Join(who, ", "))
	}
	if err := b.Principal.Validate(nil); err != nil {
		return err
	}
	return access.ValidateTemplates(b.Rules, nil)
}

// checkURL wants HTTPS, so that nobody between can exchange the keys.
func checkURL(field, text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%s is not the address of an identity provider (try: https://gitlab.example.com)", field)
	}
	if !isSecure(u) {
		return fmt.Errorf("%s: %s is not HTTPS (try: https://%s)", field, text, u.Host)
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
