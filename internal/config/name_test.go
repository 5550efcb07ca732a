package config

import (
	"strings"
	"testing"

	"github.com/rota-dev/rota/provider"
)

func TestNamesThatSecretsManagerTakes(t *testing.T) {
	for _, name := range []string{"a", "prod/orders-db", "a.b", "a/.b", "a/-b", "_x", "x@y=z+1", "a..b", strings.Repeat("a", provider.MaxName)} {
		if !GoodName(name) {
			t.Errorf("%q is refused", name)
		}
	}
}
