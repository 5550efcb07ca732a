package config

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/memory"
)

// compileUnder compiles the resources with a section controller in rota.yaml.
func compileUnder(t *testing.T, controller string, resources ...*Resource) *Compiled {
	t.Helper()
	c, err := builtin.Compile("rota.yaml", []byte("controller: "+controller+"\nsecrets: []\n"), resources)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// listen counts who connects to this machine.
func listen(t *testing.T) (port int, connected *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	connected = new(atomic.Int32)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			connected.Add(1)
			_ = conn.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port, connected
}

// reachKinds are connections to a port of this machine, by the kinds that a namespace may
// have, and what makes those connect that can't be asked who they are.
var reachKinds = map[string][2]string{
	"postgres":      {`{host: localhost, port: %d, database: app, username: rota, password: x, connect_timeout: 2s}`},
	"mysql":         {`{host: localhost, port: %d, username: rota, password: x, connect_timeout: 2s}`},
	"redis":         {`{addresses: ["localhost:%d"], username: rota, password: x, timeout: 2s}`},
	"mongodb":       {`{hosts: ["localhost:%d"], username: rota, password: x, timeout: 2s}`},
	"rabbitmq":      {`{url: "http://localhost:%d", username: rota, password: x, timeout: 2s}`},
	"elasticsearch": {`{url: "http://localhost:%d", username: rota, password: x}`},
	"opensearch":    {`{url: "http://localhost:%d", username: rota, password: x}`},
	"ldap":          {`{url: "ldaps://localhost:%d", bind_dn: "cn=rota", password: x, timeout: 2s}`, `issuer: {connection: c, ldap_password: {dn: "uid=orders,dc=example"}}`},
	"gitlab":        {`{url: "http://localhost:%d", token: x}`, `issuer: {secret_key: {}}, targets: [{name: t, gitlab_variables: {connection: c, project: shop/api, variables: {KEY: key}}}]`},
	"github":        {`{url: "http://localhost:%d/api/v3", token: x}`, `issuer: {secret_key: {}}, targets: [{name: t, github_secret: {connection: c, repository: shop/api, secrets: {KEY: key}}}]`},
	"http":          {`{url: "https://localhost:%d", timeout: 2s}`, `issuer: {connection: c, http_key: {create: {path: /keys, body: '{"name": "{name}"}', fields: {id: id, key: key}}, list: {path: /keys, id: id, name: name}, test: {path: /me, headers: {Authorization: "{key}"}}, delete: {path: "/keys/{id}"}}}`},
	"webhook":       {`{url: "https://localhost:%d", keys: ["0123456789abcdef0123456789abcdef"], timeout: 2s}`, `issuer: {secret_key: {}}, notify: [c]`},
}

func TestANamespacesConnectionReachesNoPrivateAddress(t *testing.T) {
	for _, k := range builtin.kinds[roleConnection] {
		if k.Remote && reachKinds[k.Key][0] == "" {
			t.Errorf("what connections of kind %s reach isn't tested", k.Key)
		}
	}
	for kind, with := range reachKinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			for controller, want := range map[string]bool{`{}`: false, `{networks: ["0.0.0.0/0"]}`: false, `{networks: ["127.0.0.0/8", "::1/128"]}`: true} {
				port, connected := listen(t)
				said := touch(t, controller, kind, fmt.Sprintf(with[0], port), with[1])
				if got := connected.Load() > 0; got != want {
					t.Errorf("with %s it connected: %t; it said %s", controller, got, said)
				}
				if !want && !strings.Contains(said, "controller.networks") {
					t.Errorf("with %s it said %s", controller, said)
				}
			}
		})
	}
}

// touch makes a namespace's connection connect, and returns what came of it.
func touch(t *testing.T, controller, kind, connection, secret string) string {
	t.Helper()
	resources := []*Resource{resource(t, NamespacedLogin, "shop/c", "{"+kind+": "+connection+"}")}
	if secret != "" {
		resources = append(resources, resource(t, RotatingSecret, "shop/x", "{"+secret+", policy: {rotate_every: 30d}}"))
	}
	got := compileUnder(t, controller, resources...)
	if len(got.Invalid) > 0 {
		t.Fatalf("invalid: %v", got.Invalid)
	}
	env := Environment{OwnStore: func(string) rota.Store { return memory.NewStore(memory.Options{}) }}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if secret == "" {
		w := newWiring(got.File, env)
		defer func() {
			for _, end := range slices.Backward(w.closers) {
				end()
			}
		}()
		opened, err := w.Open(ctx, "shop/c")
		if err != nil {
			t.Fatal(err)
		}
		_, err = opened.(provider.Identifier).Identity(ctx)
		return fmt.Sprint(err)
	}
	wired, err := got.File.Wire(ctx, env)
	if err != nil || len(wired.Broken) > 0 {
		t.Fatal(err, wired.Broken)
	}
	defer func() { _ = wired.Close() }()
	x := wired.ByName["shop/x"]
	var said []string
	ask := func(part any) {
		if p, ok := part.(rota.Preflighter); ok {
			for _, f := range p.Preflight(ctx) {
				said = append(said, f.Detail)
			}
		}
	}
	ask(x.Issuer)
	for _, p := range x.Targets {
		ask(p)
	}
	for _, n := range x.Notifiers {
		said = append(said, fmt.Sprint(n.Notify(ctx, rota.Event{ID: "1", Kind: rota.EventRotated, Secret: "shop/x"})))
	}
	return strings.Join(said, "\n")
}

func TestASharedConnectionReachesEverything(t *testing.T) {
	shared := resource(t, ClusterConnection, "db", `{postgres: {host: "127.0.0.1", database: app, username: rota, password: x}}`)
	shared.Grants = granted("shop")
	if got := compileUnder(t, `{}`, shared); got.File.reach(shared.Key()) != nil {
		t.Error("its reach is limited")
	}
}

func TestANamespaceHasOnlySoManyResources(t *testing.T) {
	key := func(name string) *Resource {
		return resource(t, RotatingSecret, name, `{issuer: {secret_key: {}}, policy: {rotate_every: 30d}}`)
	}
	third := key("shop/a") // the order counts, not the name
	third.LastValid = third.Spec
	got := compileUnder(t, `{max_per_namespace: 2}`, key("shop/b"), key("bank/a"), key("shop/c"), key("bank/b"), third,
		resource(t, NamespacedLogin, "shop/a", `{http: {url: "https://a.example.com"}}`))
	if len(got.Invalid) != 1 || len(got.Invalid[third.ID()]) != 1 {
		t.Fatalf("invalid: %v", got.Invalid)
	}
	want := "spec: the namespace shop has more than 2 RotatingSecrets (try: delete some, or have controller.max_per_namespace in rota.yaml raised)"
	if text := third.Text(got.Invalid[third.ID()][0]); text != want || slices.Contains(got.File.Names(), "shop/a") {
		t.Errorf("got %s", text)
	}
}

func TestAnAdministratorAllowsAKindOfConnection(t *testing.T) {
	spec := `{aws: {region: eu-central-1, access_key_id: AKIAIOSFODNN7EXAMPLE, secret_access_key: "${kubernetes:aws#key}"}}`
	for controller, want := range map[string]bool{
		`{connection_kinds: {aws: [shop, bank]}}`: true,
		`{connection_kinds: {aws: ["*"]}}`:        true,
		`{connection_kinds: {aws: [bank]}}`:       false,
		`{connection_kinds: {vault: [shop]}}`:     false,
		`{}`:                                      false,
	} {
		x := resource(t, NamespacedLogin, "shop/x", spec)
		got := compileUnder(t, controller, x)
		var texts []string
		for _, p := range got.Invalid[x.ID()] {
			texts = append(texts, x.Text(p))
		}
		text := strings.Join(texts, "\n")
		if refused := strings.Contains(text, "can't be of kind aws"); refused == want || want && text != "" {
			t.Errorf("%s: got %q", controller, text)
		}
	}
}

func TestWhatTheControllersSectionRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{networks: [10.20.0.1/16]}`:             `rota.yaml:1:25: controller.networks: "10.20.0.1/16" is no network`,
		`{networks: [db.internal]}`:              `controller.networks: "db.internal" is no network`,
		`{connection_kinds: {command: [shop]}}`:  `controller.connection_kinds: command runs programs as Rota`,
		`{connection_kinds: {postgres: [shop]}}`: `controller.connection_kinds: every namespace may have connections of kind postgres`,
		`{connection_kinds: {valt: [shop]}}`:     `controller.connection_kinds: no kind of connection "valt" (did you mean`,
		`{max_per_namespace: 0}`:                 `controller.max_per_namespace`,
	} {
		_, err := builtin.Parse("rota.yaml", []byte("controller: "+text+"\nsecrets: []\n"))
		if err == nil || !strings.Contains(fmt.Sprint(err), strings.Split(want, " (did")[0]) {
			t.Errorf("%s: got %v", text, err)
		}
	}
}
