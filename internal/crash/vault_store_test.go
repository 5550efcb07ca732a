package crash

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/vault"
	"github.com/rota-dev/rota/provider/vault/vaulttest"
	"github.com/rota-dev/rota/rotation"
)

func TestVaultsStoreThroughEveryFault(t *testing.T) {
	t.Parallel()
	matrix(t, "secret ids with Vault's KV as store", 8, life{name: "a secret id, in Vault", kinds: storeKinds, steps: lifeOfToken, build: inVault(secretIDs)})
}

// storeKinds are fewKinds, and all that may happen to a write to the store.
func storeKinds(c call) []kind {
	if c.system == "kv" && c.op == "write" {
		return []kind{failsBefore, downBefore, replyLost, lostDown, dies, repeated}
	}
	return fewKinds(c)
}

// inVault is a life's scene whose store is a KV engine at a stand-in for Vault.
func inVault(provider func(testing.TB, *scene) fixture) func(testing.TB, *world) *scene {
	return func(t testing.TB, w *world) *scene {
		s := newScene(t, w)
		k := &kvKeeper{dataFolder: dataFolder{w: w, dir: s.dir}, server: vaulttest.New()}
		k.server.SetNow(w.clock)
		vaulttest.Of(k.server).Do(t, http.MethodPost, "sys/mounts/secret", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
		k.front = w.before(k.server.Config.Handler, "kv", func(r *http.Request) string {
			if strings.HasPrefix(r.URL.Path, "/v1/secret/") && r.Method != http.MethodGet {
				return "write"
			}
			return "look"
		})
		s.keeper = k
		s.fixture = provider(t, s)
		return s
	}
}

// kvKeeper is the keeper whose store is Vault's. The journal is in the data folder.
type kvKeeper struct {
	dataFolder
	server *vaulttest.Server
	front  *httptest.Server
}

func (k *kvKeeper) at(address string) (*vault.Store, error) {
	c, err := vault.New("store", vault.Config{Address: address, Login: vault.Token(vaulttest.RootToken), Now: k.w.clock})
	entry := func(path string) vault.Entry { return vault.Entry{Mount: "secret", Path: path, Version: 2} }
	return &vault.Store{Connection: c, Entry: entry("apps/orders"), State: entry("rota/apps/orders")}, err
}

func (k *kvKeeper) store(*process) (rota.Store, error) { return k.at(k.front.URL) }

func (k *kvKeeper) journal() (rotation.Journal, error) {
	db, err := k.open()
	if err != nil {
		return nil, err
	}
	return db.Journal(), nil
}

// holds also compares with what applications read.
func (k *kvKeeper) holds() (held, error) {
	h := held{labels: map[rota.Label]string{}, versions: map[string]rota.Credential{}, foreign: map[string]bool{}}
	s, err := k.at(k.server.URL)
	if err != nil {
		return h, err
	}
	contents, err := s.Describe(context.Background())
	if err != nil {
		return h, err
	}
	for _, v := range contents.Versions {
		c, err := s.Get(context.Background(), rota.GetRequest{Version: v.ID})
		if err != nil {
			return h, err
		}
		h.versions[v.ID], h.foreign[v.ID] = c, !v.Ours()
		for _, l := range v.Labels {
			h.labels[l] = v.ID
		}
	}
	shown := k.server.Shown("secret", "apps/orders")
	if current := h.at(rota.LabelCurrent); fmt.Sprint(shown) != fmt.Sprint(current.Fields()) {
		return h, errors.New("applications don't read the current credential")
	}
	return h, nil
}

func (k *kvKeeper) close() {
	k.front.Close()
	k.server.Close()
	k.dataFolder.close()
}
