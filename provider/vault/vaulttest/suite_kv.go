package vaulttest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/providertest"
	"github.com/rota-dev/rota/provider/vault"
)

// keys are a target's fields.
func keys(t testing.TB) rota.FieldMap {
	t.Helper()
	f, err := rota.ParseFieldMap(map[string]string{"key": rota.FieldAccessKeyID, "secret": rota.FieldSecretAccessKey}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// read is an entry's content; found is false if there's none.
func (b Backend) read(t testing.TB, e vault.Entry) (content map[string]any, found bool) {
	t.Helper()
	path := e.Mount + "/" + e.Path
	if e.Version == 2 {
		path = e.Mount + "/data/" + e.Path
	}
	out, status := b.Ask(t, http.MethodGet, path, nil)
	if status == http.StatusNotFound {
		return nil, false
	}
	content, _ = out["data"].(map[string]any)
	if e.Version == 2 {
		content, _ = content["data"].(map[string]any)
	}
	return content, content != nil
}

// write writes an entry as somebody else.
func (b Backend) write(t testing.TB, e vault.Entry, content map[string]any) {
	t.Helper()
	if e.Version == 1 {
		b.Do(t, http.MethodPost, e.Mount+"/"+e.Path, content)
		return
	}
	b.Do(t, http.MethodPost, e.Mount+"/data/"+e.Path, map[string]any{"data": content})
}

func suiteTarget(t *testing.T, b Backend) {
	two, one := b.Mount(t, "kv", "2"), b.Mount(t, "kv", "1")
	for _, c := range []struct {
		name  string
		entry vault.Entry
		whole bool
	}{
		{"keys of a KV v2 entry", vault.Entry{Mount: two, Version: 2}, false},
		{"a whole KV v2 entry", vault.Entry{Mount: two, Version: 2}, true},
		{"a KV v1 entry", vault.Entry{Mount: one, Version: 1}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			providertest.Target(t, func(t *testing.T) providertest.TargetFixture {
				connection, proxy := b.Connect(t, vault.Token(b.Token))
				entry := c.entry
				entry.Path = fmt.Sprintf("apps/a b/%d", mounts.Add(1))
				target := &vault.KV{Target: "vault", Connection: connection, Entry: entry, Fields: keys(t), Whole: c.whole}
				return providertest.TargetFixture{
					Target: target, Writes: proxy.Writes, Inject: proxy.Inject(map[string]string{"deliver": "POST /" + entry.Mount + "/"}),
					Read: func() (rota.Credential, bool, error) {
						content, found := b.read(t, entry)
						values := map[string]string{}
						for name, value := range content {
							values[name], _ = value.(string)
						}
						return keys(t).Read(values), found, nil
					},
				}
			})
		})
	}
}

// deliver delivers the n-th credential.
func deliver(t testing.TB, target *vault.KV, n int) error {
	t.Helper()
	return target.Deliver(t.Context(), rota.DeliverRequest{Secret: "prod/app", Version: "rota-1", Credential: key(n)})
}

func key(n int) rota.Credential {
	return rota.NewCredential(map[string]string{rota.FieldAccessKeyID: fmt.Sprintf("AKIA%04d", n), rota.FieldSecretAccessKey: fmt.Sprintf("sEcret<&>canary%04d", n)})
}

func suiteOthers(t *testing.T, b Backend) {
	mount := b.Mount(t, "kv", "2")
	entry := vault.Entry{Mount: mount, Path: "apps/shared", Version: 2}
	connection, proxy := b.Connect(t, vault.Token(b.Token))
	target := &vault.KV{Target: "vault", Connection: connection, Entry: entry, Fields: keys(t)}
	b.write(t, entry, map[string]any{"theirs": "kept", "number": 12345678901234567, "nested": map[string]any{"a": []any{1, nil}}})
	// Somebody else writes between Rota's read and its write.
	proxy.Before(http.MethodPost, "/data/", func() {
		b.write(t, entry, map[string]any{"theirs": "changed", "more": true, "key": "old"})
	})
	if err := deliver(t, target, 1); err != nil {
		t.Fatal(err)
	}
	got, _ := b.read(t, entry)
	want := map[string]any{"theirs": "changed", "more": true, "key": "AKIA0001", "secret": "sEcret<&>canary0001"} //nolint:gosec // made up
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the entry holds %v, want %v", got, want)
	}
	whole := &vault.KV{Target: "vault", Connection: connection, Entry: entry, Fields: keys(t), Whole: true}
	warned := false
	for _, f := range whole.Preflight(t.Context()) {
		warned = warned || f.Warning && strings.Contains(f.Detail, "more, theirs")
	}
	if !warned {
		t.Error("preflight doesn't say which keys a whole entry loses")
	}
	if err := deliver(t, whole, 1); err != nil {
		t.Fatal(err)
	}
	if got, _ := b.read(t, entry); len(got) != 2 {
		t.Errorf("the whole entry holds %v", got)
	}
	t.Run("a writer that never stops isn't overwritten", func(t *testing.T) {
		n := 0
		var again func()
		again = func() {
			n++
			b.write(t, entry, map[string]any{"theirs": n})
			proxy.Before(http.MethodPost, "/data/", again)
		}
		proxy.Before(http.MethodPost, "/data/", again)
		err := deliver(t, target, 2)
		if !errors.Is(err, rota.ErrConflict) || rota.ClassOf(err) != rota.ClassWait {
			t.Errorf("got %v, of class %s", err, rota.ClassOf(err))
		}
		if got, _ := b.read(t, entry); fmt.Sprint(got["theirs"]) != fmt.Sprint(n) {
			t.Errorf("the other writer's value is gone: %v", got)
		}
	})
}

func suitePast(t *testing.T, b Backend) {
	mount := b.Mount(t, "kv", "2")
	for name, prepare := range map[string]func(e vault.Entry){
		"deleted": func(e vault.Entry) { b.Do(t, http.MethodDelete, mount+"/data/"+e.Path, nil) },
		"destroyed": func(e vault.Entry) {
			b.Do(t, http.MethodPost, mount+"/destroy/"+e.Path, map[string]any{"versions": []int{1}})
		},
		"gone with its metadata": func(e vault.Entry) { b.Do(t, http.MethodDelete, mount+"/metadata/"+e.Path, nil) },
		"one that requires cas": func(e vault.Entry) {
			b.Do(t, http.MethodPost, mount+"/metadata/"+e.Path, map[string]any{"cas_required": true, "max_versions": 1, "custom_metadata": map[string]string{"owner": "shop"}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			entry := vault.Entry{Mount: mount, Path: "past/" + strings.ReplaceAll(name, " ", "-"), Version: 2}
			connection, _ := b.Connect(t, vault.Token(b.Token))
			target := &vault.KV{Target: "vault", Connection: connection, Entry: entry, Fields: keys(t)}
			b.write(t, entry, map[string]any{"key": "theirs"})
			prepare(entry)
			for n := range 3 {
				if err := deliver(t, target, n); err != nil {
					t.Fatal(err)
				}
				if got, _ := b.read(t, entry); fmt.Sprint(got) != fmt.Sprint(map[string]any{"key": key(n).Field(rota.FieldAccessKeyID), "secret": key(n).Field(rota.FieldSecretAccessKey)}) {
					t.Errorf("the entry holds %v", got)
				}
			}
			if name == "one that requires cas" {
				custom, _ := b.Do(t, http.MethodGet, mount+"/metadata/"+entry.Path, nil)["custom_metadata"].(map[string]any)
				if custom["owner"] != "shop" {
					t.Errorf("the entry's metadata changed: %v", custom)
				}
			}
		})
	}
}

func suiteVersions(t *testing.T, b Backend) {
	two, one := b.Mount(t, "kv", "2"), b.Mount(t, "kv", "1")
	connection, proxy := b.Connect(t, vault.Token(b.Token))
	for _, entry := range []vault.Entry{{Mount: two, Path: "a", Version: 1}, {Mount: one, Path: "a", Version: 2}} {
		target := &vault.KV{Target: "vault", Connection: connection, Entry: entry, Fields: keys(t), Whole: true}
		err := deliver(t, target, 1)
		Wrong(t, err, rota.ClassStop, fmt.Sprintf("of version %d", 3-entry.Version))
		if remedies := rota.RemediesOf(err); len(remedies) != 1 || remedies[0].Key != "version" {
			t.Errorf("remedies %v", remedies)
		}
	}
	missing := &vault.KV{Target: "vault", Connection: connection, Entry: vault.Entry{Mount: "no-such-engine", Path: "a", Version: 2}, Fields: keys(t)}
	Wrong(t, deliver(t, missing, 1), rota.ClassStop, "it isn't there")
	if proxy.Writes() != 0 {
		t.Errorf("%d writes", proxy.Writes())
	}
}

func suiteDenied(t *testing.T, b Backend) {
	mount := b.Mount(t, "kv", "2")
	entry := vault.Entry{Mount: mount, Path: "apps/denied", Version: 2}
	for name, c := range map[string]struct{ hcl, want string }{
		"nothing":          {`path "` + mount + `/data/other" { capabilities = ["read"] }`, "allow read on " + mount + "/data/apps/denied"},
		"only reading":     {`path "` + mount + `/data/apps/denied" { capabilities = ["read"] }`, "allow create and update on " + mount + "/data/apps/denied"},
		"no access at all": {`path "sys/mounts" { capabilities = ["read"] }`, "allow read on " + mount + "/data/apps/denied"},
	} {
		t.Run(name, func(t *testing.T) {
			connection, _ := b.Connect(t, vault.Token(b.Policy(t, c.hcl)))
			target := &vault.KV{Target: "vault", Connection: connection, Entry: entry, Fields: keys(t)}
			Wrong(t, deliver(t, target, 1), rota.ClassStop, "403", c.want, "connection test")
			failed := ""
			for _, f := range target.Preflight(t.Context()) {
				if !f.OK && !f.Warning {
					failed += f.Detail + rota.Hint(f.Remedies)
				}
			}
			if !strings.Contains(failed, "on "+mount+"/data/apps/denied") {
				t.Errorf("preflight says %q", failed)
			}
		})
	}
	t.Run("a bad token", func(t *testing.T) {
		connection, _ := b.Connect(t, vault.Token("hvs.wrong-canary"))
		target := &vault.KV{Target: "vault", Connection: connection, Entry: entry, Fields: keys(t)}
		Wrong(t, deliver(t, target, 1), rota.ClassStop, "login is not valid", "valid token")
		if f := target.Preflight(t.Context()); f[len(f)-1].OK {
			t.Errorf("preflight says %+v", f)
		}
	})
	t.Run("no more than rota policy vault prints", func(t *testing.T) {
		allowed := &vault.KV{Entry: entry}
		connection, _ := b.Connect(t, vault.Token(b.Policy(t, HCL(allowed.Permissions()))))
		target := &vault.KV{Target: "vault", Connection: connection, Entry: entry, Fields: keys(t)}
		if err := deliver(t, target, 1); err != nil {
			t.Error(err)
		}
		for _, f := range target.Preflight(t.Context()) {
			if !f.OK {
				t.Errorf("preflight says %+v", f)
			}
		}
	})
}
