package realtest

import (
	"crypto/tls"
	"net/http"
	"testing"

	jwt "github.com/hashicorp/vault-plugin-auth-jwt"
	kubernetes "github.com/hashicorp/vault-plugin-auth-kubernetes"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/builtin/credential/approle"
	awslogin "github.com/hashicorp/vault/builtin/credential/aws"
	"github.com/hashicorp/vault/builtin/logical/database"
	"github.com/hashicorp/vault/helper/testhelpers/corehelpers"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/plugins/database/postgresql"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/vault"
	"github.com/hashicorp/vault/vault/plugincatalog"

	"github.com/rota-dev/rota/provider/vault/vaulttest"
)

// registry has Vault's own plugin for PostgreSQL beside what its tests have.
type registry struct{ plugincatalog.BuiltinRegistry }

const postgres = "postgresql-database-plugin"

func (r registry) Get(name string, kind consts.PluginType) (func() (any, error), bool) {
	if name == postgres && kind == consts.PluginTypeDatabase {
		return postgresql.New, true
	}
	return r.BuiltinRegistry.Get(name, kind)
}

// core starts a Vault, unsealed, with a root token.
func core(t *testing.T) vaulttest.Backend {
	t.Helper()
	cluster := vault.NewTestCluster(t, &vault.CoreConfig{
		BuiltinRegistry:    registry{corehelpers.NewMockBuiltinRegistry()},
		LogicalBackends:    map[string]logical.Factory{"kv": kv.Factory, "database": database.Factory},
		CredentialBackends: map[string]logical.Factory{"approle": approle.Factory, "jwt": jwt.Factory, "kubernetes": kubernetes.Factory, "aws": awslogin.Factory},
	}, &vault.TestClusterOptions{NumCores: 1, HandlerFunc: vaulthttp.Handler})
	t.Cleanup(cluster.Cleanup)
	return vaulttest.Backend{
		URL: cluster.Cores[0].Client.Address(), Token: cluster.RootToken,
		Client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cluster.RootCAs}}},
	}
}

// What the stand-in passes in package vault's tests, Vault itself passes here.
func TestVaultItselfPassesTheSuite(t *testing.T) {
	b := core(t)
	b.Database = postgresServer(t)
	vaulttest.Suite(t, b)
}
