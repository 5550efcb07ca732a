package github

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	api "github.com/google/go-github/v93/github"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// App is a GitHub App that Rota logs in as.
type App struct {
	// ID is the App's client id or number.
	ID string
	// PrivateKey is the App's, in PEM.
	PrivateKey string
	// Installation is the number of the installation to use. 0 finds that of the
	// owner of each repository.
	Installation int64
}

// app is an App with its key, which is read when it's needed first.
type app struct {
	App
	key func() (*rsa.PrivateKey, error)
}

// token is one of an installation, for some repositories and permissions.
type token struct {
	value   string
	expires time.Time // by GitHub's clock
}

const (
	// appSkew is how far this machine's clock may be ahead of GitHub's.
	appSkew = time.Minute
	// appProof is how long a proof of being the App lasts. GitHub allows ten
	// minutes.
	appProof = 8 * time.Minute
	// renewAhead is how long before its end an installation's token is replaced. It
	// lasts an hour.
	renewAhead = 5 * time.Minute
)

func newApp(a App) (*app, error) {
	if a.ID == "" || a.PrivateKey == "" {
		return nil, rota.WithRemedies(errors.New("the App's id or its private key is missing"), rota.Outside("give the connection both"))
	}
	return &app{a, sync.OnceValues(func() (*rsa.PrivateKey, error) { return parsePrivateKey(a.PrivateKey) })}, nil
}

func parsePrivateKey(text string) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block != nil {
		if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
			return key, nil
		}
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if key, ok := parsed.(*rsa.PrivateKey); err == nil && ok {
			return key, nil
		}
	}
	return nil, errors.New("the App's private key isn't an RSA key in PEM")
}

// proof is a JSON Web Token that shows GitHub who the App is.
func (a *app) proof(now time.Time) (string, error) {
	key, err := a.key()
	if err != nil {
		return "", err
	}
	header, _ := json.Marshal(map[string]string{"alg": "RS256", "typ": "JWT"})
	claims, _ := json.Marshal(map[string]any{"iss": a.ID, "iat": now.Add(-appSkew).Unix(), "exp": now.Add(appProof).Unix()})
	text := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", errors.New("the App's private key can't sign")
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// bearer returns what authorizes a request with this context; cached means that
// GitHub may have revoked it since.
func (c *Connection) bearer(ctx context.Context) (value string, cached bool, err error) {
	a := accessOf(ctx)
	switch {
	case c.app == nil:
		return c.token, false, nil
	case a.asApp:
		if value, err = c.app.proof(c.now()); err != nil {
			err = c.refuse("log in as App "+c.app.ID, "give connection "+c.name+" the .pem file that GitHub made for the App", err)
		}
		return value, false, err
	}
	c.mu.Lock()
	known, ok := c.tokens[a.key()]
	c.mu.Unlock()
	if ok && c.now().Add(renewAhead).Before(known.expires) {
		return known.value, true, nil
	}
	made, err := c.installationToken(ctx, a)
	if err != nil {
		return "", false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens[a.key()] = made
	return made.value, false, nil
}

// forget drops an installation's token that GitHub refuses.
func (c *Connection) forget(value string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, t := range c.tokens {
		if t.value == value {
			delete(c.tokens, key)
		}
	}
}

// installationToken makes a token for nothing but what the access needs.
func (c *Connection) installationToken(ctx context.Context, a access) (token, error) {
	id, err := c.installation(ctx, a)
	if err != nil {
		return token{}, err
	}
	options := &api.InstallationTokenOptions{Permissions: a.permissions()}
	if a.repository != "" {
		options.Repositories = []string{a.repository}
	}
	made, resp, err := c.api.Apps.CreateInstallationToken(access{asApp: true}.in(ctx), id, options)
	err = c.fail("log in as App "+c.app.ID+" for "+a.String(), access{asApp: true}, resp, err)
	switch provider.StatusOf(err) {
	case 422:
		// One of the repositories isn't the installation's, or it has no such permission.
		return token{}, rota.WithRemedies(err, rota.Outside("give the App the permission "+names(a.needs)+", have the owner of "+a.owner+" accept it, and add "+a.String()+" to the installation"))
	case 404:
		c.mu.Lock()
		delete(c.installations, strings.ToLower(a.owner)) // it was installed anew
		c.mu.Unlock()
	}
	if err == nil && made.GetToken() == "" {
		err = c.fail("log in as App "+c.app.ID, access{asApp: true}, resp, errUnreadable)
	}
	if err != nil {
		return token{}, err
	}
	return token{made.GetToken(), made.GetExpiresAt().Time}, nil
}

// installation is the number of the App's installation that answers for the owner.
func (c *Connection) installation(ctx context.Context, a access) (int64, error) {
	if c.app.Installation != 0 {
		return c.app.Installation, nil
	}
	owner := strings.ToLower(a.owner)
	c.mu.Lock()
	id, ok := c.installations[owner]
	c.mu.Unlock()
	if ok {
		return id, nil
	}
	ask := c.api.Apps.GetOrganizationInstallation
	if a.repository != "" {
		ask = func(ctx context.Context, owner string) (*api.Installation, *api.Response, error) {
			return c.api.Apps.GetRepositoryInstallation(ctx, owner, a.repository)
		}
	}
	found, resp, err := ask(access{asApp: true}.in(ctx), a.owner)
	if err := c.fail("find the installation of App "+c.app.ID+" for "+a.String(), access{asApp: true}, resp, err); err != nil {
		if provider.StatusOf(err) == 404 {
			err = rota.WithRemedies(err, rota.Outside("install the App at "+a.owner+" and let it reach "+a.String()))
		}
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.installations[owner] = found.GetID()
	return found.GetID(), nil
}

// String is what the access reaches, for people.
func (a access) String() string {
	if a.repository == "" {
		return a.owner
	}
	return fmt.Sprintf("%s/%s", a.owner, a.repository)
}
