package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// TokenSource gives the bearer token for a request: a key of Rota's own, or an
// id token of an issuer that the server trusts. The client calls it for every
// request, so a source that follows a changing token needs no restart. It may
// be called from several goroutines; its errors must not hold the token.
type TokenSource func(ctx context.Context) (string, error)

// StaticToken always gives the same token.
func StaticToken(token string) TokenSource {
	return func(context.Context) (string, error) { return token, nil }
}

// TokenFromEnv reads the token from an environment variable, such as
// ROTA_TOKEN.
func TokenFromEnv(name string) TokenSource {
	return func(context.Context) (string, error) {
		if token := os.Getenv(name); token != "" {
			return token, nil
		}
		return "", fmt.Errorf("the environment variable %s contains no token", name)
	}
}

// maxToken bounds what is read from a token's file.
const maxToken = 64 << 10

// TokenFromFile reads the token from a file anew for every request: Kubernetes
// and CI systems replace the id tokens that they mount before these expire.
// White space around the token is ignored.
func TokenFromFile(path string) TokenSource {
	return func(context.Context) (string, error) {
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		text, err := io.ReadAll(io.LimitReader(f, maxToken))
		if err := errors.Join(err, f.Close()); err != nil {
			return "", err
		}
		token := strings.TrimSpace(string(text))
		if token == "" {
			return "", fmt.Errorf("%s contains no token", path)
		}
		return token, nil
	}
}

// tokenError says why there is no token. Its text is the source's.
type tokenError struct{ error }

func (e *tokenError) Unwrap() error { return e.error }

// token asks the source, and refuses what can't be a token: such a text must
// not reach a header, whose errors would quote it. "" means no token at all.
func (c *Client) token(ctx context.Context) (string, error) {
	if c.tokens == nil {
		return "", nil
	}
	token, err := c.tokens(ctx)
	if err == nil {
		err = checkToken(token)
	}
	if err != nil {
		return "", &tokenError{err}
	}
	return token, nil
}

func checkToken(token string) error {
	if token == "" {
		return errors.New("the token is empty")
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("the token holds blanks or other characters that no token has")
	}
	return nil
}
