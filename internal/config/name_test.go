package config

import (
	"strings"
	"testing"
)

func TestNamesThatSecretsManagerTakes(t *testing.T) {
	for _, name := range []string{"a", "prod/orders-db", "a.b", "a/.b", "a/-b", "_x", "x@y=z+1", "a..b", strings.Repeat("a", maxName)} {
		if !goodName(name) {
			t.Errorf("%q is refused", name)
		}
	}
}
