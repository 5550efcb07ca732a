package githubtest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// App is a GitHub App with one installation.
type App struct {
	ID           string
	Installation int64
	Owner        string
	// Permissions and Repositories are those of the installation.
	Permissions  map[string]string
	Repositories []string
	Suspended    bool
	// PrivateKey is the App's, in PEM.
	PrivateKey string

	key    *rsa.PublicKey
	issued []string
}

// appKey is made once: it takes a while.
var appKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// AddApp installs an App at organization shop and returns it.
func (s *Server) AddApp(permissions map[string]string, repositories ...string) *App {
	key, err := appKey()
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &App{
		ID: "Iv23liRotaRotaRotaRo", Installation: s.number(), Owner: "shop", Permissions: permissions, Repositories: repositories, key: &key.PublicKey,
		PrivateKey: string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
	}
	s.apps = append(s.apps, a)
	return a
}

// Issued are the tokens of the App's installation, the oldest first.
func (s *Server) Issued(a *App) []Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Token
	for _, value := range a.issued {
		if t := s.tokens[value]; t != nil {
			list = append(list, *t)
		}
	}
	return list
}

// Revoke makes all tokens of the App's installation invalid.
func (s *Server) Revoke(a *App) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, value := range a.issued {
		delete(s.tokens, value)
	}
}

// prove finds the App that signed a request; otherwise it answers.
func (s *Server) prove(c *call) *App {
	text, signature, _ := cut(bearer(c.Request))
	_, payload, _ := strings.Cut(text, ".")
	raw, _ := base64.RawURLEncoding.DecodeString(payload)
	var claims struct {
		Issuer  string `json:"iss"`
		Issued  int64  `json:"iat"`
		Expires int64  `json:"exp"`
	}
	_ = json.Unmarshal(raw, &claims)
	sum, now := sha256.Sum256([]byte(text)), s.now().Unix()
	for _, a := range s.apps {
		if a.ID != claims.Issuer || rsa.VerifyPKCS1v15(a.key, crypto.SHA256, sum[:], signature) != nil {
			continue
		}
		switch {
		case claims.Issued > now:
			c.fail(http.StatusUnauthorized, "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued")
		case claims.Expires > now+600:
			c.fail(http.StatusUnauthorized, "'Expiration time' claim ('exp') is too far in the future")
		case claims.Expires <= now:
			c.fail(http.StatusUnauthorized, "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires")
		default:
			return a
		}
		return nil
	}
	c.fail(http.StatusUnauthorized, "A JSON web token could not be decoded")
	return nil
}

// cut splits a token before its signature.
func cut(token string) (text string, signature []byte, ok bool) {
	at := strings.LastIndex(token, ".")
	if at < 0 {
		return "", nil, false
	}
	signature, err := base64.RawURLEncoding.DecodeString(token[at+1:])
	return token[:at], signature, err == nil
}

func (s *Server) routeApps(mux *http.ServeMux) {
	on := func(pattern string, f func(*call, *App)) {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" /api/v3/"+path, func(w http.ResponseWriter, r *http.Request) {
			s.mu.Lock()
			defer s.mu.Unlock()
			c := &call{Request: r, s: s, w: w}
			_ = json.NewDecoder(r.Body).Decode(&c.body) // without a body there's nothing in it
			w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
			if a := s.prove(c); a != nil {
				f(c, a)
			}
		})
	}
	installation := func(there func(c *call, a *App) bool) func(*call, *App) {
		return func(c *call, a *App) {
			if !there(c, a) {
				c.fail(http.StatusNotFound, "Not Found")
				return
			}
			c.answer(http.StatusOK, map[string]any{"id": a.Installation, "app_slug": "rota", "account": map[string]any{"login": a.Owner}})
		}
	}
	on("GET orgs/{org}/installation", installation(func(c *call, a *App) bool { return strings.EqualFold(c.PathValue("org"), a.Owner) }))
	on("GET repos/{owner}/{repo}/installation", installation(func(c *call, a *App) bool {
		return slices.ContainsFunc(a.Repositories, func(r string) bool { return strings.EqualFold(r, c.PathValue("owner")+"/"+c.PathValue("repo")) })
	}))
	on("POST app/installations/{installation}/access_tokens", s.issue)
}

// issue makes a token for some of the installation's repositories and permissions.
func (s *Server) issue(c *call, a *App) {
	var asked struct {
		Repositories []string
		Permissions  map[string]string
	}
	_ = json.Unmarshal(c.body["repositories"], &asked.Repositories)
	_ = json.Unmarshal(c.body["permissions"], &asked.Permissions)
	t := &Token{installation: true, Permissions: map[string]string{}, Repositories: []string{}}
	for name, level := range asked.Permissions {
		if has := a.Permissions[name]; name != "metadata" && has != level && has != "write" {
			c.fail(http.StatusUnprocessableEntity, "The permissions requested are not granted to this installation.")
			return
		}
		t.Permissions[name] = level
	}
	t.Permissions["metadata"] = "read"
	for _, name := range asked.Repositories {
		if !slices.Contains(a.Repositories, a.Owner+"/"+name) {
			c.fail(http.StatusUnprocessableEntity, "There is at least one repository that does not exist or is not accessible to the parent installation.")
			return
		}
		t.Repositories = append(t.Repositories, a.Owner+"/"+name)
	}
	if len(asked.Repositories) == 0 {
		t.Repositories = a.Repositories
	}
	if a.Suspended {
		c.fail(http.StatusForbidden, "This installation has been suspended")
		return
	}
	value := "ghs_" + rand.Text()
	s.tokens[value] = t
	a.issued = append(a.issued, value)
	c.answer(http.StatusCreated, map[string]any{"token": value, "expires_at": s.now().Add(time.Hour).UTC().Format(time.RFC3339), "permissions": t.Permissions})
}

// Grant gives the App the permissions that a text names as GitHub's settings do, one
// a line, as "Secrets: write".
func (s *Server) Grant(a *App, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.Permissions = map[string]string{"metadata": "read"}
	for line := range strings.Lines(text) {
		name, level, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		for key, shown := range settings {
			if shown == name && a.Permissions[key] != "write" {
				a.Permissions[key] = level
			}
		}
	}
}

// settings are the permissions as GitHub's settings name them.
var settings = map[string]string{
	"actions": "Actions", "actions_variables": "Variables", "administration": "Administration", "contents": "Contents", "environments": "Environments", "metadata": "Metadata",
	"secrets": "Secrets", "organization_secrets": "Secrets (of the organization)", "organization_actions_variables": "Variables (of the organization)",
}
