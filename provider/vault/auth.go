package vault

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/rota-dev/rota"
)

// Login is how Rota authenticates: [Token], [AppRoleLogin], [JWTLogin] or
// [AWSLogin].
type Login interface {
	// request is the login's path and body. A [Token] has none.
	request(ctx context.Context) (path string, body map[string]any, err error)
	// String names it for people.
	String() string
}

// Token is a token that's given. Rota renews it for as long as Vault allows.
type Token string

func (Token) request(context.Context) (string, map[string]any, error) { return "", nil, nil }
func (Token) String() string                                          { return "token" }

// AppRoleLogin logs in with a role id and a secret id.
type AppRoleLogin struct {
	Mount            string // of the auth method, such as "approle"
	RoleID, SecretID string
}

func (l AppRoleLogin) request(context.Context) (string, map[string]any, error) {
	return "auth/" + l.Mount + "/login", map[string]any{"role_id": l.RoleID, "secret_id": l.SecretID}, nil
}

func (l AppRoleLogin) String() string { return "AppRole at auth/" + l.Mount }

// JWTLogin logs in with a JWT from a file, which is read for each login: that of a
// Kubernetes service account, or one that whatever runs Rota writes there.
type JWTLogin struct {
	Mount      string // of the auth method, such as "kubernetes" or "jwt"
	Role, File string
}

func (l JWTLogin) request(context.Context) (string, map[string]any, error) {
	text, err := os.ReadFile(l.File)
	if err != nil {
		return "", nil, rota.WithRemedies(fmt.Errorf("read the JWT: %w", err), rota.Outside("mount the token there, or correct jwt_file"))
	}
	return "auth/" + l.Mount + "/login", map[string]any{"role": l.Role, "jwt": strings.TrimSpace(string(text))}, nil
}

func (l JWTLogin) String() string { return "role " + l.Role + " at auth/" + l.Mount }
