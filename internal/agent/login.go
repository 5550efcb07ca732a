package agent

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"
)

// Login says which server to ask, and as whom. Each of its ways renews itself: files
// are read again for each request or connection, and an issuer is asked for another
// token before the last one expires.
type Login struct {
	// Server is the server's URL.
	Server string
	// CAFile holds the authorities that may sign the server's certificate. Defaults
	// to the system's.
	CAFile string
	// Token is a token, for a caller that has it already.
	Token api.TokenSource
	// TokenFile holds a key's token, or an id token that its platform renews.
	TokenFile string
	// CertFile and KeyFile are a client certificate and its key, in PEM.
	CertFile, KeyFile string
	// OIDC asks an issuer for tokens.
	OIDC *OIDC
	// UserAgent is what the agent calls itself.
	UserAgent string
}

// OIDC is a login at an issuer that the server trusts, as a client of its own.
type OIDC struct {
	TokenURL, ClientID string
	// ClientSecretFile holds the client's secret. It's read again for each token.
	ClientSecretFile string
	// Audience is asked for, if the issuer wants that as a parameter.
	Audience string
	Scopes   []string
}

// Client returns a client of the server. It has asked for nothing yet.
func (l Login) Client() (*api.Client, error) {
	o := api.Options{URL: l.Server, Token: l.Token, UserAgent: cmp.Or(l.UserAgent, "rota-agent")}
	if l.CAFile != "" {
		var err error
		if o.CA, err = os.ReadFile(l.CAFile); err != nil {
			return nil, err
		}
	}
	switch {
	case l.TokenFile != "":
		o.Token = api.TokenFromFile(l.TokenFile)
	case l.OIDC != nil:
		o.Token = l.OIDC.tokens()
	}
	if l.CertFile != "" {
		if _, err := tls.LoadX509KeyPair(l.CertFile, l.KeyFile); err != nil {
			return nil, rota.WithRemedies(fmt.Errorf("the client certificate: %w", err), rota.Outside("a certificate and its key, each a file in PEM"))
		}
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(l.CertFile, l.KeyFile)
			return &pair, err
		}}
	}
	return api.New(o)
}

// tokenTimeout bounds a request for a token.
const tokenTimeout = 30 * time.Second

// tokens gives the issuer's token until it's about to expire.
func (o *OIDC) tokens() api.TokenSource {
	one := make(chan oauth2.TokenSource, 1) // whoever has it may ask
	one <- oauth2.ReuseTokenSourceWithExpiry(nil, source(o.ask), time.Minute)
	return func(ctx context.Context) (string, error) {
		select {
		case s := <-one:
			defer func() { one <- s }()
			token, err := s.Token()
			if err != nil {
				return "", err
			}
			return token.AccessToken, nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

type source func() (*oauth2.Token, error)

func (s source) Token() (*oauth2.Token, error) { return s() }

func (o *OIDC) ask() (*oauth2.Token, error) {
	secret, err := api.TokenFromFile(o.ClientSecretFile)(context.Background())
	if err != nil {
		return nil, fmt.Errorf("the client's secret: %w", err)
	}
	c := clientcredentials.Config{ClientID: o.ClientID, ClientSecret: secret, TokenURL: o.TokenURL, Scopes: o.Scopes}
	if o.Audience != "" {
		c.EndpointParams = map[string][]string{"audience": {o.Audience}}
	}
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, &http.Client{Timeout: tokenTimeout})
	token, err := c.Token(ctx)
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		// Its own text quotes the answer.
		return nil, fmt.Errorf("the issuer at %s gave no token: %s %s", o.TokenURL, refused.Response.Status, refused.ErrorCode)
	}
	if err != nil {
		return nil, rota.Sanitize(err, rota.NewCredential(map[string]string{"secret": secret}))
	}
	return token, nil
}
