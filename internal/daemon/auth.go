package daemon

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"sync/atomic"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/access/authn"
	"github.com/rota-dev/rota/internal/access/oidc"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/sigv4"
)

// auth authenticates callers by the current configuration.
type auth struct {
	current  atomic.Pointer[authn.Authenticator]
	settings config.ServerSettings // what current was built from
	changed  chan struct{}
	open     authn.OpenRequests // outlive an authenticator
}

// Authenticate returns who sent a request.
func (a *auth) Authenticate(r *http.Request, body []byte) (access.Caller, error) {
	return a.current.Load().Authenticate(r, body)
}

// Recheck returns who an open request is from by now.
func (a *auth) Recheck(r *http.Request, accepted access.Caller) (access.Caller, error) {
	return a.current.Load().Recheck(r, accepted)
}

// Hold counts a request that stays open.
func (a *auth) Hold(c access.Caller) (func(), error) { return a.current.Load().Hold(c) }

// Admit counts a request that needs no credential.
func (a *auth) Admit(r *http.Request, as int) error { return a.current.Load().Admit(r, as) }

// maxConnections is how many connections one address may have.
func (a *auth) maxConnections() int { return a.current.Load().MaxConnections() }

// run records when keys were last used, until ctx ends.
func (a *auth) run(ctx context.Context) {
	for ctx.Err() == nil {
		life, end := context.WithCancel(ctx)
		go func() {
			select {
			case <-life.Done():
			case <-a.changed:
				end()
			}
		}()
		a.current.Load().Run(life)
		end()
	}
}

// newAuthenticator builds an authenticator from new settings; nil if they
// change nothing about authentication.
func (d *Daemon) newAuthenticator(s config.ServerSettings) (*authn.Authenticator, error) {
	by := d.auth.settings
	if d.auth.current.Load() != nil && reflect.DeepEqual(s.Certificates, by.Certificates) && reflect.DeepEqual(s.Issuers, by.Issuers) && s.Limits == by.Limits {
		return nil, nil
	}
	// The service is checked because S3's bodies may be unsigned.
	verifier := &sigv4.Verifier{Service: "secretsmanager"}
	o := authn.Options{
		Directory: d.directory, Certs: s.Certificates, Proxies: d.settings.Proxies, Limits: s.Limits, Open: &d.auth.open, Log: d.Log, Audit: d.DB.Audit(),
		SigV4: func(r *http.Request) (string, func([]byte, string) error, error) {
			signature, err := verifier.Read(r)
			if err == nil && !access.IsKeyID(signature.KeyID) { // usually one of AWS's
				err = sigv4.UnknownKey()
			}
			return signature.KeyID, func(body []byte, secret string) error {
				return verifier.Check(r, body, signature, sigv4.Key{Secret: secret})
			}, err
		},
	}
	if d.clientCAs != nil {
		o.Trust = d.clientCAs.trust
	}
	if len(s.Issuers) > 0 {
		tokens, err := oidc.NewVerifier(s.Issuers, oidc.Options{Log: d.Log})
		if err != nil {
			return nil, fmt.Errorf("access: %w", err)
		}
		o.Tokens = tokens
	}
	return authn.New(o)
}

// replace authenticates with other settings from now on.
func (a *auth) replace(by *authn.Authenticator, settings config.ServerSettings) {
	a.current.Store(by)
	a.settings = settings
	select {
	case a.changed <- struct{}{}:
	default: // run is about to look anyway
	}
}

// withoutAuth are the settings that only take effect at the next start.
func withoutAuth(s config.ServerSettings) config.ServerSettings {
	s.Certificates, s.Issuers, s.Limits = nil, nil, authn.Limits{}
	return s
}
