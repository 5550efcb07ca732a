package vault

import (
	"net"
	"net/url"
	"strings"

	"github.com/rota-dev/rota/provider"
)

// connectionConfig is a server and the login.
type connectionConfig struct {
	At        provider.Pos  `json:"-"`
	Address   provider.Text `json:"address" jsonschema:"Where the server listens, such as https://vault.internal:8200. Environment variables such as VAULT_ADDR aren't read."`
	Namespace provider.Text `json:"namespace,omitzero" default:"the root namespace" jsonschema:"The namespace that the login and all paths are in."`
	provider.TLSFiles
	ServerName provider.Text     `json:"tls_server_name,omitzero" default:"the address's host" jsonschema:"The name that the server's certificate is made for."`
	Token      provider.Text     `json:"token,omitzero" secret:"true" jsonschema:"A token, which Rota renews: a reference such as ${file:/run/secrets/vault}."`
	AppRole    *appRoleLogin     `json:"app_role,omitzero" jsonschema:"A login by AppRole."`
	Kubernetes *jwtLogin         `json:"kubernetes,omitzero" jsonschema:"A login with the token of the pod's service account."`
	JWT        *jwtLogin         `json:"jwt,omitzero" jsonschema:"A login with a JWT from a file."`
	AWSIAM     *awsLogin         `json:"aws_iam,omitzero" jsonschema:"A login with the machine's AWS identity."`
	Timeout    provider.Duration `json:"timeout,omitzero" default:"30s" jsonschema:"The timeout for each request."`
}

// appRoleLogin is a login by AppRole.
type appRoleLogin struct {
	Mount    provider.Plain `json:"mount,omitzero" default:"approle" jsonschema:"Where the auth method is mounted."`
	RoleID   provider.Text  `json:"role_id" secret:"half" jsonschema:"The role's id."`
	SecretID provider.Text  `json:"secret_id" secret:"true" jsonschema:"A secret id: a reference such as ${file:/run/secrets/vault-secret-id}."`
}

// jwtLogin is a login with a JWT from a file.
type jwtLogin struct {
	Mount   provider.Plain `json:"mount,omitzero" default:"kubernetes or jwt" jsonschema:"Where the auth method is mounted."`
	Role    provider.Text  `json:"role" jsonschema:"The auth method's role."`
	JWTFile provider.Text  `json:"jwt_file,omitzero" default:"for kubernetes, /var/run/secrets/kubernetes.io/serviceaccount/token" jsonschema:"The file with the JWT, which is read for each login."`
}

// awsLogin is a login with an AWS identity.
type awsLogin struct {
	Mount    provider.Plain `json:"mount,omitzero" default:"aws" jsonschema:"Where the auth method is mounted."`
	Role     provider.Text  `json:"role,omitzero" default:"the name of the AWS role or user" jsonschema:"The auth method's role."`
	Region   provider.Plain `json:"region,omitzero" default:"STS's global endpoint" jsonschema:"The region whose STS Vault asks, as in the method's sts_region."`
	ServerID provider.Text  `json:"server_id,omitzero" jsonschema:"The value of the header X-Vault-AWS-IAM-Server-ID, if the method requires it."`
}

// serviceAccountToken is where Kubernetes mounts a pod's token.
const serviceAccountToken = "/var/run/secrets/kubernetes.io/serviceaccount/token" //nolint:gosec // a path

// Validate implements [provider.Validator].
func (c *connectionConfig) Validate(v *provider.Validation) {
	if text, plain := c.Address.Literal(); plain && text != "" {
		if _, err := parseAddress(text); err != nil {
			v.Error(c.Address.At, "address", err)
		}
	}
	checkText(v, "namespace", c.Namespace, "team-a/prod")
	logins := 0
	for _, given := range []bool{c.Token.IsSet(), c.AppRole != nil, c.Kubernetes != nil, c.JWT != nil, c.AWSIAM != nil} {
		if given {
			logins++
		}
	}
	if logins != 1 {
		v.Problem(c.At, "", "token, app_role, kubernetes, jwt or aws_iam", "one login is needed, and %d are given", logins)
	}
	if c.JWT != nil && !c.JWT.JWTFile.IsSet() {
		v.Problem(c.At, "jwt", "jwt_file: /run/secrets/jwt", "jwt_file is missing")
	}
	for key, mount := range map[string]provider.Plain{"app_role": mountOf(c.AppRole, func(l *appRoleLogin) provider.Plain { return l.Mount }),
		"kubernetes": mountOf(c.Kubernetes, func(l *jwtLogin) provider.Plain { return l.Mount }), "jwt": mountOf(c.JWT, func(l *jwtLogin) provider.Plain { return l.Mount }),
		"aws_iam": mountOf(c.AWSIAM, func(l *awsLogin) provider.Plain { return l.Mount })} {
		checkPath(v, mount.At, key, mount.Text, "mount: "+key+", without auth/")
	}
	c.CheckTLS(v, c.At)
}

// mountOf is a login's mount, zero for a login that isn't given.
func mountOf[L any](l *L, mount func(*L) provider.Plain) provider.Plain {
	if l == nil {
		return provider.Plain{}
	}
	return mount(l)
}

// Open implements [provider.ConnectionConfig].
func (c *connectionConfig) Open(b *provider.Build) (any, error) {
	cfg := Config{
		Address: b.Text(c.Address), Namespace: b.Text(c.Namespace), Certificates: c.Certificates(b),
		TLSServerName: b.Text(c.ServerName), Timeout: c.Timeout.Length,
	}
	switch {
	case c.AppRole != nil:
		cfg.Login = AppRoleLogin{Mount: or(c.AppRole.Mount, "approle"), RoleID: strings.TrimSpace(b.Text(c.AppRole.RoleID)), SecretID: strings.TrimSpace(b.Text(c.AppRole.SecretID))}
	case c.Kubernetes != nil:
		l := JWTLogin{Mount: or(c.Kubernetes.Mount, "kubernetes"), Role: b.Text(c.Kubernetes.Role), File: serviceAccountToken}
		if c.Kubernetes.JWTFile.IsSet() {
			l.File = b.Text(c.Kubernetes.JWTFile)
		}
		cfg.Login = l
	case c.JWT != nil:
		cfg.Login = JWTLogin{Mount: or(c.JWT.Mount, "jwt"), Role: b.Text(c.JWT.Role), File: b.Text(c.JWT.JWTFile)}
	case c.AWSIAM != nil:
		cfg.Login = AWSLogin{Mount: or(c.AWSIAM.Mount, "aws"), Role: b.Text(c.AWSIAM.Role), Region: c.AWSIAM.Region.Text, ServerID: b.Text(c.AWSIAM.ServerID)}
	default:
		cfg.Login = Token(strings.TrimSpace(b.Text(c.Token)))
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return New(b.Name, cfg)
}

// Scope implements [provider.Scoper]: a server is known by its host and port. The
// namespace is part of the claims.
func (c *connectionConfig) Scope(k *provider.Known) string {
	text, known := k.Text(c.Address)
	u, err := url.Parse(text)
	if !known || err != nil || u.Host == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return "vault\x00" + net.JoinHostPort(strings.ToLower(u.Hostname()), port) + strings.TrimSuffix(u.Path, "/")
}
