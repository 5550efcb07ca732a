package vaulttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/providertest"
	"github.com/rota-dev/rota/provider/vault"
)

// Backend is a Vault, real or not.
type Backend struct {
	URL, Token string // the root token
	Client     *http.Client
}

// Of is the stand-in as a backend.
func Of(s *Server) Backend { return Backend{s.URL, RootToken, s.Client()} }

// Do makes one request as root and returns the answer's data. It fails the test
// unless that succeeds.
func (b Backend) Do(t testing.TB, method, path string, body any) map[string]any {
	t.Helper()
	out, status := b.Ask(t, method, path, body)
	if status >= 300 && status != http.StatusNotFound {
		t.Fatalf("%s %s: status %d: %v", method, path, status, out["errors"])
	}
	inner, _ := out["data"].(map[string]any)
	if inner == nil {
		inner = out
	}
	return inner
}

// Ask makes one request as root.
func (b Backend) Ask(t testing.TB, method, path string, body any) (map[string]any, int) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, b.URL+"/v1/"+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", b.Token)
	resp, err := b.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	_ = json.Unmarshal(answer, &out)
	return out, resp.StatusCode
}

// mounts counts the mounts of all tests.
var mounts atomic.Int64

// Mount mounts a new engine ("kv", with options) or auth method ("auth/approle") and
// returns where.
func (b Backend) Mount(t testing.TB, kind, version string) string {
	t.Helper()
	area, name := "mounts", fmt.Sprintf("%s-%d", strings.TrimPrefix(kind, "auth/"), mounts.Add(1))
	if strings.HasPrefix(kind, "auth/") {
		area = "auth"
	}
	body := map[string]any{"type": strings.TrimPrefix(kind, "auth/")}
	if version != "" {
		body["options"] = map[string]string{"version": version}
	}
	b.Do(t, http.MethodPost, "sys/"+area+"/"+name, body)
	return name
}

// Connect gives a connection by way of a proxy.
func (b Backend) Connect(t testing.TB, login vault.Login) (*vault.Connection, *Proxy) {
	t.Helper()
	p := NewProxy(t, b.URL, b.Client)
	c, err := vault.New("test", vault.Config{Address: p.URL, Login: login})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, p
}

// Policy writes a policy and returns a token that has it and the default one.
func (b Backend) Policy(t testing.TB, hcl string) string {
	t.Helper()
	name := fmt.Sprintf("rota-%d", mounts.Add(1))
	b.Do(t, http.MethodPost, "sys/policies/acl/"+name, map[string]any{"policy": hcl})
	out, _ := b.Ask(t, http.MethodPost, "auth/token/create", map[string]any{"policies": []string{name}, "ttl": "1h"})
	auth, _ := out["auth"].(map[string]any)
	token, _ := auth["client_token"].(string)
	if token == "" {
		t.Fatalf("no token: %v", out)
	}
	return token
}

// Suite is what every Vault has to pass.
func Suite(t *testing.T, b Backend) {
	t.Run("the target keeps the contract", func(t *testing.T) { suiteTarget(t, b) })
	t.Run("other writers' keys stay", func(t *testing.T) { suiteOthers(t, b) })
	t.Run("what happened to an entry before", func(t *testing.T) { suitePast(t, b) })
	t.Run("an engine of the other version is refused", func(t *testing.T) { suiteVersions(t, b) })
	t.Run("what stands in the way is named", func(t *testing.T) { suiteDenied(t, b) })
	t.Run("secret ids keep the contract", func(t *testing.T) { suiteSecretIDs(t, b) })
}

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

// Wrong checks an error and that it comes with a remedy, and that parts are in its
// text or its remedies.
func Wrong(t testing.TB, err error, class rota.Class, parts ...string) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	text := err.Error() + " | " + rota.Hint(rota.RemediesOf(err))
	if got := rota.ClassOf(err); got != class {
		t.Errorf("class %s, want %s: %s", got, class, text)
	}
	if len(rota.RemediesOf(err)) == 0 {
		t.Errorf("no remedy: %s", text)
	}
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q isn't in: %s", part, text)
		}
	}
	if strings.Contains(text, "canary") {
		t.Errorf("a value is in: %s", text)
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
