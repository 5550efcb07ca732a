package vaulttest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/providertest"
	"github.com/rota-dev/rota/provider/vault"
)

func suiteStore(t *testing.T, b Backend) {
	mount := b.Mount(t, "kv", "2")
	b.ready(t, mount)
	store := func(t *testing.T) (*vault.Store, *Proxy) {
		connection, proxy := b.Connect(t, vault.Token(b.Token))
		name := fmt.Sprintf("apps/%d", mounts.Add(1))
		return &vault.Store{Connection: connection, Entry: vault.Entry{Mount: mount, Path: name, Version: 2}, State: vault.Entry{Mount: mount, Path: "rota/" + name, Version: 2}}, proxy
	}
	providertest.Store(t, func(t *testing.T) providertest.StoreFixture {
		s, proxy := store(t)
		return providertest.StoreFixture{
			Store:  s,
			Inject: proxy.Inject(map[string]string{"describe": "GET /data/rota/", "get": "GET /data/rota/", "put": "POST /data/rota/", "move": "POST /data/rota/"}),
			Reopen: func(t *testing.T) rota.Store {
				connection, _ := b.Connect(t, vault.Token(b.Token))
				return &vault.Store{Connection: connection, Entry: s.Entry, State: s.State}
			},
		}
	})
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	put := func(t *testing.T, s *vault.Store, id string, n int) {
		t.Helper()
		must(t, s.Put(t.Context(), rota.PutRequest{Version: id, Credential: key(n), Labels: []rota.Label{rota.LabelPending}}))
	}
	holders := func(t *testing.T, s *vault.Store) map[rota.Label]string {
		t.Helper()
		c, err := s.Describe(t.Context())
		must(t, err)
		out := map[rota.Label]string{}
		for _, v := range c.Versions {
			for _, l := range v.Labels {
				out[l] = v.ID
			}
		}
		return out
	}
	promote := func(s *vault.Store, from, to string) error {
		return s.Move(t.Context(), rota.MoveRequest{Label: rota.LabelCurrent, From: from, To: to})
	}
	shows := func(t *testing.T, s *vault.Store, n int) {
		t.Helper()
		got, found := b.read(t, s.Entry)
		if want := key(n).Fields(); !found || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("applications read %v, want %v", got, want)
		}
	}
	t.Run("applications read the current credential and nothing else", func(t *testing.T) {
		s, _ := store(t)
		put(t, s, "rota-1", 1)
		if _, found := b.read(t, s.Entry); found {
			t.Error("a pending one is in the entry")
		}
		must(t, promote(s, "", "rota-1"))
		shows(t, s, 1)
		put(t, s, "rota-2", 2)
		shows(t, s, 1)
		must(t, promote(s, "rota-1", "rota-2"))
		shows(t, s, 2)
	})
	for name, c := range map[string]struct {
		n    int // of the writes to both entries
		kind providertest.FaultKind
		done bool
	}{
		"before the state":        {0, providertest.FailBefore, false},
		"after the state":         {0, providertest.LoseReply, false},
		"before the entry":        {1, providertest.FailBefore, false},
		"after the entry":         {1, providertest.LoseReply, true},
		"before the state's tail": {2, providertest.FailBefore, true},
		"the state, sent twice":   {0, providertest.Repeat, true},
		"the entry, sent twice":   {1, providertest.Repeat, true},
	} {
		t.Run("a promotion that's stopped leaves one of both: "+name, func(t *testing.T) {
			s, proxy := store(t)
			put(t, s, "rota-1", 1)
			must(t, promote(s, "", "rota-1"))
			put(t, s, "rota-2", 2)
			proxy.Nth(c.n, http.MethodPost, "/data/", c.kind)
			_ = promote(s, "rota-1", "rota-2")
			want, n := "rota-1", 1
			if c.done {
				want, n = "rota-2", 2
			}
			if got := holders(t, s)[rota.LabelCurrent]; got != want {
				t.Errorf("%s is current, want %s", got, want)
			}
			shows(t, s, n)
			must(t, promote(s, "rota-1", "rota-2"))
			got := holders(t, s)
			if got[rota.LabelCurrent] != "rota-2" || got[rota.LabelPrevious] != "rota-1" {
				t.Errorf("labels %v", got)
			}
			shows(t, s, 2)
		})
	}
	t.Run("what somebody else writes is another's version", func(t *testing.T) {
		s, proxy := store(t)
		b.write(t, s.Entry, map[string]any{"password": "theirs-canary", "port": 5432})
		foreign := holders(t, s)[rota.LabelCurrent]
		if !strings.HasPrefix(foreign, "kv-") {
			t.Fatalf("current is %q", foreign)
		}
		c, err := s.Get(t.Context(), rota.GetRequest{Version: foreign})
		if err != nil || c.Field("password") != "theirs-canary" || c.Field("port") != "5432" {
			t.Errorf("%v, %v", c.Fields(), err)
		}
		put(t, s, "rota-1", 1)
		must(t, promote(s, foreign, "rota-1"))
		if got := holders(t, s); got[rota.LabelPrevious] != foreign {
			t.Errorf("labels %v", got)
		}
		// And right between the two writes of a promotion.
		put(t, s, "rota-2", 2)
		proxy.Before(http.MethodPost, "/data/apps/", func() { b.write(t, s.Entry, map[string]any{"password": "theirs again"}) })
		if err := promote(s, "rota-1", "rota-2"); err == nil {
			t.Error("somebody's value was overwritten")
		}
		got := holders(t, s)
		if !strings.HasPrefix(got[rota.LabelCurrent], "kv-") || got[rota.LabelPrevious] != "rota-1" || got[rota.LabelPending] != "rota-2" {
			t.Errorf("labels %v", got)
		}
	})
	t.Run("a retired version's value is destroyed", func(t *testing.T) {
		s, _ := store(t)
		for n := 1; n <= 3; n++ {
			put(t, s, fmt.Sprint("rota-", n), n)
			from := ""
			if n > 1 {
				from = fmt.Sprint("rota-", n-1)
			}
			must(t, promote(s, from, fmt.Sprint("rota-", n)))
		}
		for version, want := range map[int]bool{1: false, 2: true, 3: true} {
			_, status := b.Ask(t, http.MethodGet, fmt.Sprintf("%s/data/%s?version=%d", mount, s.Entry.Path, version), nil)
			if (status == http.StatusOK) != want {
				t.Errorf("version %d of the entry answers %d", version, status)
			}
		}
		if _, err := s.Get(t.Context(), rota.GetRequest{Version: "rota-1"}); err == nil {
			t.Error("it can still be read")
		}
		if out, status := b.Ask(t, http.MethodGet, mount+"/metadata/"+s.State.Path, nil); status != http.StatusOK || !strings.Contains(fmt.Sprint(out), "max_versions:1") {
			t.Errorf("the state's metadata: %v", out)
		}
	})
	t.Run("a deleted entry is named", func(t *testing.T) {
		s, _ := store(t)
		put(t, s, "rota-1", 1)
		must(t, promote(s, "", "rota-1"))
		b.Do(t, http.MethodDelete, mount+"/data/"+s.Entry.Path, nil)
		_, err := s.Describe(t.Context())
		Wrong(t, err, rota.ClassStop, "current value was deleted", "undelete")
		b.Do(t, http.MethodPost, mount+"/undelete/"+s.Entry.Path, map[string]any{"versions": []int{1}})
		if holders(t, s)[rota.LabelCurrent] != "rota-1" {
			t.Error("it isn't current again")
		}
	})
	t.Run("no more than rota policy vault prints", func(t *testing.T) {
		s, _ := store(t)
		connection, _ := b.Connect(t, vault.Token(b.Policy(t, HCL(s.Permissions()))))
		s.Connection = connection
		for n := 1; n <= 3; n++ {
			put(t, s, fmt.Sprint("rota-", n), n)
			must(t, promote(s, holders(t, s)[rota.LabelCurrent], fmt.Sprint("rota-", n)))
		}
		for _, f := range s.Preflight(t.Context()) {
			if !f.OK {
				t.Errorf("preflight says %+v", f)
			}
		}
	})
}

// ready waits for a KV engine that was just mounted.
func (b Backend) ready(t testing.TB, mount string) {
	t.Helper()
	for range 1000 {
		if _, status := b.Ask(t, http.MethodGet, mount+"/data/none", nil); status == http.StatusNotFound {
			return
		}
	}
	t.Fatal("the engine isn't ready")
}
