package vaulttest

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/vault"
)

// HCL is what rota policy vault prints for some permissions.
func HCL(permissions []provider.Permission) string {
	out, err := vault.Provider().Connections[0].Policy().Document([]provider.Grant{{Title: "test", Permissions: permissions}}, func(error) {})
	if err != nil {
		return fmt.Sprint(err)
	}
	return strings.TrimSpace(string(bytes.TrimSpace(out)))
}
