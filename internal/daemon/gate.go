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
	"github.com/rota-dev/rota/internal/server/sigv4"
)

// authGate lets callers in as the configuration says now.
type authGate struct {
	now     atomic.Pointer[authn.Authenticator]
	by      config.ServerSettings // what now was made of
	changed chan struct{}
}

// Authenticate says who sent a request.
func (g *authGate) Authenticate(r *http.Request, body []byte) (access.Caller, error) {
	return g.now.Load().Authenticate(r, body)
}

// run notes when keys were last used, until ctx ends.
func (g *authGate) run(ctx context.Context) {
	for ctx.Err() == nil {
		life, end := context.WithCancel(ctx)
		go func() {
			select {
			case <-life.Done():
			case <-g.changed:
				end()
			}
		}()
		g.now.Load().Run(life)
		end()
	}
}

// next makes what lets in by other settings; nil where they say the same of it
// as those in force.
func (d *Daemon) next(s config.ServerSettings) (*authn.Authenticator, error) {
	by := d.gate.by
	if d.gate.now.Load() != nil && reflect.DeepEqual(s.Certificates, by.Certificates) && reflect.DeepEqual(s.Issuers, by.Issuers) && s.Limits == by.Limits {
		return nil, nil
	}
	verifier := &sigv4.Verifier{}
	o := authn.Options{
		Directory: d.directory, Certs: s.Certificates, Proxies: d.settings.Proxies, Limits: s.Limits, Log: d.Log, Audit: d.DB,
		SigV4: func(r *http.Request, body []byte, lookup func(context.Context, string) (string, error)) (string, error) {
			return verifier.Verify(r, body, func(ctx context.Context, id string) (sigv4.Key, error) {
				if !access.IsKeyID(id) { // one of AWS's, as a rule
					return sigv4.Key{}, sigv4.UnknownKey()
				}
				secret, err := lookup(ctx, id)
				return sigv4.Key{Secret: secret}, err
			})
		},
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

// open lets in by other settings from now on.
func (g *authGate) open(a *authn.Authenticator, by config.ServerSettings) {
	g.now.Store(a)
	g.by = by
	select {
	case g.changed <- struct{}{}:
	default: // it is to look already
	}
}

// standing are the parts of the settings that count from the next start on.
func standing(s config.ServerSettings) config.ServerSettings {
	s.Certificates, s.Issuers, s.Limits = nil, nil, authn.Limits{}
	return s
}
