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

// history is a store and what people do to its entries.
type history struct {
	Backend
	*vault.Store
	proxy *Proxy
}

func (b Backend) history(t *testing.T, mount string) history {
	connection, proxy := b.Connect(t, vault.Token(b.Token))
	name := fmt.Sprintf("apps/%d", mounts.Add(1))
	s := &vault.Store{Connection: connection, Entry: vault.Entry{Mount: mount, Path: name, Version: 2}, State: vault.Entry{Mount: mount, Path: "rota/" + name, Version: 2}}
	return history{b, s, proxy}
}

// put stores a pending version.
func (h history) put(t *testing.T, id string, n int) {
	t.Helper()
	if err := h.Put(t.Context(), rota.PutRequest{Version: id, Credential: key(n), Labels: []rota.Label{rota.LabelPending}}); err != nil {
		t.Fatal(err)
	}
}

func (h history) promote(t *testing.T, to string) error {
	t.Helper()
	return h.Move(t.Context(), rota.MoveRequest{Label: rota.LabelCurrent, From: h.holders(t)[rota.LabelCurrent], To: to})
}

// rotate puts and promotes a version.
func (h history) rotate(t *testing.T, id string, n int) {
	t.Helper()
	h.put(t, id, n)
	if err := h.promote(t, id); err != nil {
		t.Fatal(err)
	}
}

func (h history) holders(t *testing.T) map[rota.Label]string {
	t.Helper()
	c, err := h.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := map[rota.Label]string{}
	for _, v := range c.Versions {
		for _, l := range v.Labels {
			out[l] = v.ID
		}
	}
	return out
}

// someone writes the entry.
func (h history) someone(t *testing.T, value string) {
	t.Helper()
	h.write(t, h.Entry, map[string]any{"password": value})
}

func (h history) is(t *testing.T, l rota.Label, value string) {
	t.Helper()
	id := h.holders(t)[l]
	c, err := h.Get(t.Context(), rota.GetRequest{Version: id})
	if err != nil || c.Field("password") != value {
		t.Errorf("%s is %s, with password %q, want %q: %v", l, id, c.Field("password"), value, err)
	}
}

func suiteStoreHistory(t *testing.T, b Backend) {
	mount := b.Mount(t, "kv", "2")
	b.ready(t, mount)
	for name, replace := range map[string]func(*testing.T, history){
		"written over": func(t *testing.T, h history) { h.someone(t, "theirs-canary") },
		"written over, and gone from the entry's history": func(t *testing.T, h history) {
			h.someone(t, "theirs-canary")
			b.Do(t, http.MethodPost, mount+"/destroy/"+h.Entry.Path, map[string]any{"versions": []int{2}})
		},
		"deleted, and another one written": func(t *testing.T, h history) {
			b.Do(t, http.MethodDelete, mount+"/data/"+h.Entry.Path, nil)
			h.someone(t, "theirs-canary")
		},
	} {
		t.Run("a promotion whose answer was lost counts, although its value was "+name, func(t *testing.T) {
			h := b.history(t, mount)
			h.rotate(t, "rota-1", 1)
			h.put(t, "rota-2", 2)
			h.proxy.Nth(1, http.MethodPost, "/data/", providertest.LoseReply)
			if h.promote(t, "rota-2") == nil {
				t.Fatal("the answer wasn't lost")
			}
			replace(t, h)
			h.is(t, rota.LabelCurrent, "theirs-canary")
			if got := h.holders(t); got[rota.LabelPending] != "" || got[rota.LabelPrevious] != "rota-2" {
				t.Errorf("a replaced value could come back: %v", got)
			}
		})
	}
	t.Run("the value of a promotion whose answer was lost is destroyed with its version", func(t *testing.T) {
		h := b.history(t, mount)
		h.rotate(t, "rota-1", 1)
		h.put(t, "rota-2", 2)
		h.proxy.Nth(1, http.MethodPost, "/data/", providertest.LoseReply)
		_ = h.promote(t, "rota-2")
		h.someone(t, "theirs-canary")
		h.rotate(t, "rota-3", 3)
		h.rotate(t, "rota-4", 4)
		if _, status := b.Ask(t, http.MethodGet, mount+"/data/"+h.Entry.Path+"?version=2", nil); status != http.StatusNotFound {
			t.Errorf("it answers %d", status)
		}
	})
	t.Run("a first value that was deleted isn't written again", func(t *testing.T) {
		h := b.history(t, mount)
		h.put(t, "rota-1", 1)
		h.proxy.Nth(1, http.MethodPost, "/data/", providertest.LoseReply)
		_ = h.promote(t, "rota-1")
		b.Do(t, http.MethodDelete, mount+"/data/"+h.Entry.Path, nil)
		_, err := h.Describe(t.Context())
		Wrong(t, err, rota.ClassStop, "current value was deleted", "undelete")
	})
	t.Run("an entry that was made anew holds another's value", func(t *testing.T) {
		h := b.history(t, mount)
		h.someone(t, "first-canary")
		h.put(t, "rota-1", 1) // now the state knows kv-1
		b.Do(t, http.MethodDelete, mount+"/metadata/"+h.Entry.Path, nil)
		h.someone(t, "second-canary")
		h.is(t, rota.LabelCurrent, "second-canary")
		h.is(t, rota.LabelPrevious, "first-canary")
	})
	t.Run("nothing of others is destroyed in an entry that was made anew", func(t *testing.T) {
		h := b.history(t, mount)
		for n := 1; n <= 3; n++ {
			h.rotate(t, fmt.Sprint("rota-", n), n)
		}
		b.Do(t, http.MethodDelete, mount+"/metadata/"+h.Entry.Path, nil)
		for n := 1; n <= 4; n++ {
			h.someone(t, fmt.Sprint("theirs-canary-", n))
		}
		for n := 4; n <= 6; n++ {
			h.rotate(t, fmt.Sprint("rota-", n), n)
		}
		for version := 1; version <= 3; version++ {
			if _, status := b.Ask(t, http.MethodGet, fmt.Sprintf("%s/data/%s?version=%d", mount, h.Entry.Path, version), nil); status != http.StatusOK {
				t.Errorf("version %d answers %d", version, status)
			}
		}
	})
	t.Run("a promotion that fails again and again is noted once", func(t *testing.T) {
		h := b.history(t, mount)
		h.put(t, "rota-1", 1)
		for range 3 {
			h.proxy.Nth(1, http.MethodPost, "/data/", providertest.FailBefore)
			if h.promote(t, "rota-1") == nil {
				t.Fatal("it didn't fail")
			}
		}
		state, _ := b.read(t, h.State)
		if n := strings.Count(fmt.Sprint(state), "serial:1"); n != 1 {
			t.Errorf("it's there %d times: %v", n, state)
		}
	})
	t.Run("no older state is kept, whatever the engine keeps of other entries", func(t *testing.T) {
		keeping := b.Mount(t, "kv", "2")
		b.Do(t, http.MethodPost, keeping+"/config", map[string]any{"max_versions": 5})
		h := b.history(t, keeping)
		for n := range 4 {
			h.rotate(t, fmt.Sprintf("rota-%d", n), n)
		}
		read := func(version int) string {
			out, _ := b.Ask(t, http.MethodGet, fmt.Sprintf("%s/data/%s?version=%d", keeping, h.State.Path, version), nil)
			return fmt.Sprint(out["data"])
		}
		if text := read(0); !strings.Contains(text, "rota-3") {
			t.Fatalf("the state holds %s", text)
		}
		kept := 0
		for n := 1; n < 100; n++ {
			if strings.Contains(read(n), "rota-") {
				kept++
			}
		}
		if kept != 1 {
			t.Errorf("%d versions of the state are there", kept)
		}
	})
	t.Run("a deleted state is named", func(t *testing.T) {
		h := b.history(t, mount)
		h.rotate(t, "rota-1", 1)
		b.Do(t, http.MethodDelete, mount+"/data/"+h.State.Path, nil)
		_, err := h.Describe(t.Context())
		Wrong(t, err, rota.ClassStop, "all versions of the secret were deleted", "undelete")
		b.Do(t, http.MethodDelete, mount+"/metadata/"+h.State.Path, nil)
		if got := h.holders(t)[rota.LabelCurrent]; got != "kv-1" {
			t.Errorf("%s is current", got)
		}
	})
	t.Run("entries that Vault will delete by itself are warned of", func(t *testing.T) {
		h := b.history(t, mount)
		b.Do(t, http.MethodPost, mount+"/metadata/"+h.Entry.Path, map[string]any{"delete_version_after": "1h"})
		h.rotate(t, "rota-1", 1)
		warned := 0
		for _, f := range h.Preflight(t.Context()) {
			if f.Warning && strings.Contains(f.Detail, "by itself") {
				warned++
			}
		}
		if warned != 1 {
			t.Errorf("%d warnings", warned)
		}
	})
	t.Run("an engine of version 1 can't be a store", func(t *testing.T) {
		h := b.history(t, b.Mount(t, "kv", "1"))
		err := h.Put(t.Context(), rota.PutRequest{Version: "rota-1", Credential: key(1), Labels: []rota.Label{rota.LabelPending}})
		Wrong(t, err, rota.ClassStop, "needs version 2", "enable-versioning")
	})
}
