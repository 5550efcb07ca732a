package cli

import (
	"context"
	"strings"

	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/internal/store/kms"
)

// keeper is the key in another service that encrypts the master key; nil if the
// master key is in a file. With several, separated by spaces, the first
// encrypts and the others are earlier ones.
func (a *app) keeper(ctx context.Context) (store.Wrapper, error) {
	addresses := strings.Fields(a.masterKeyURL())
	if len(addresses) == 0 {
		return nil, nil
	}
	key, err := kms.Open(ctx, addresses[0], addresses[1:]...)
	if err != nil {
		return nil, refused(err)
	}
	return key, nil
}

// keyFileScheme is how a master key's URL begins if it's a file that something else
// provides. A path follows.
const keyFileScheme = "file://"

// masterKeyURL names the key that encrypts the master key.
func (a *app) masterKeyURL() string {
	if a.masterKeyFlag != "" {
		return a.masterKeyFlag
	}
	return a.environment["ROTA_MASTER_KEY"]
}
