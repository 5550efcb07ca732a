package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
)

const baseOfResources = `
connections:
  admin: {postgres: {host: db, database: app, username: rota, password: "${env:X}"}}
secrets:
  - {name: prod/key, issuer: {secret_key: {}}, policy: {rotate_every: 30d}}
`

// resource reads one from YAML's flow style.
func resource(t testing.TB, kind ResourceKind, name, spec string) *Resource {
	t.Helper()
	r := &Resource{Kind: kind, Name: name}
	if namespace, inside, found := strings.Cut(name, "/"); found {
		r.Namespace, r.Name = namespace, inside
	}
	if err := yaml.Unmarshal([]byte(spec), &r.Spec); err != nil {
		t.Fatal(err)
	}
	return r
}

func compile(t testing.TB, resources ...*Resource) *Compiled {
	t.Helper()
	c, err := builtin.Compile("rota.yaml", []byte(baseOfResources), resources)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func granted(to ...string) func(string) bool {
	return func(namespace string) bool {
		for _, n := range to {
			if n == namespace {
				return true
			}
		}
		return false
	}
}

// shopWorld is what the tests' RotatingSecrets find around them.
func shopWorld(t testing.TB) []*Resource {
	shared := resource(t, ClusterConnection, "shared", `{postgres: {host: db, database: app, username: rota, password: "${kubernetes:rota/db#password}"}}`)
	shared.Grants = granted("shop")
	cluster := resource(t, ClusterConnection, "here", `{kubernetes: {in_cluster: true}}`)
	cluster.Grants = granted("shop", "bank")
	files := resource(t, ClusterConnection, "hosts", `{ssh: {hosts: [h], user: u, private_key: "${file:/etc/key}", known_hosts: "${file:/etc/hosts}"}}`)
	files.Grants = granted("bank")
	return []*Resource{
		shared, cluster, files,
		resource(t, NamespacedLogin, "shop/db", `{postgres: {host: shop-db, database: app, username: rota, password: "${kubernetes:db#password}"}}`),
		resource(t, NamespacedLogin, "bank/db", `{postgres: {host: bank-db, database: app, username: rota, password: "${kubernetes:db#password}"}}`),
		resource(t, RotatingSecret, "bank/ledger", `{issuer: {connection: db, password: {role: ledger}}, policy: {rotate_every: 30d}}`),
	}
}

func TestARotatingSecretHasOnlyWhatItsNamespaceWasGranted(t *testing.T) {
	for _, c := range []struct{ name, spec, want string }{
		{"its namespace's connection", `{issuer: {connection: db, password: {role: app}}}`, ""},
		{"a shared connection", `{issuer: {connection: shared, password: {role: app}}}`, ""},
		{"a Secret of its namespace", `{issuer: {secret_key: {}}, targets: [{name: t, kubernetes_secret: {connection: here, namespace: shop, secret: app}}]}`, ""},
		{"its sibling's value", `{issuer: {connection: db, password: {role: app}}, policy: {apart_from: [{secret: shop/other, by: 1h}]}}`, ""},
		{"a connection of rota.yaml", `{issuer: {connection: admin, password: {role: app}}}`, `spec.issuer.connection: no connection "admin" is granted to the namespace shop`},
		{"a connection of another namespace", `{issuer: {connection: bank/db, password: {role: app}}}`, `spec.issuer.connection: no connection "bank/db" is granted`},
		{"a shared connection by its name in Rota", `{issuer: {connection: ClusterConnection/shared, password: {role: app}}}`, `no connection "ClusterConnection/shared" is granted`},
		{"one granted to another namespace, in a target", `{issuer: {secret_key: {}}, targets: [{name: t, ssh_file: {connection: hosts, path: /x, format: json}}]}`, `spec.targets[t].ssh_file.connection: no connection "hosts" is granted`},
		{"in a reloader", `{issuer: {secret_key: {}}, reload: [{name: t, ssh_command: {connection: hosts, run: [x]}}]}`, `spec.reload[t].ssh_command.connection: no connection "hosts" is granted`},
		{"in a store", `{issuer: {secret_key: {}}, store: {connection: admin, secrets_manager: {secret: x}}}`, `spec.store.connection: no connection "admin" is granted`},
		{"in a notice", `{issuer: {secret_key: {}}, notify: [admin]}`, `spec.notify: no connection "admin" is granted`},
		{"a Secret of another namespace", `{issuer: {secret_key: {}}, targets: [{name: t, kubernetes_secret: {connection: here, namespace: bank, secret: app}}]}`, `spec.targets[t].kubernetes_secret.namespace: a RotatingSecret reaches its own namespace alone (try: shop)`},
		{"a restart in another namespace", `{issuer: {secret_key: {}}, reload: [{name: t, kubernetes_restart: {connection: here, namespace: kube-system, secret: app}}]}`, `spec.reload[t].kubernetes_restart.namespace: a RotatingSecret reaches its own namespace alone`},
		{"a file of Rota's machine", `{issuer: {secret_key: {}}, targets: [{name: t, file: {path: /etc/x, format: json}}]}`, `spec.targets[t].file: file uses the machine that Rota runs on`},
		{"a program", `{issuer: {command: {run: [/bin/sh], fields: [token]}}}`, `spec.issuer.command: command uses the machine that Rota runs on`},
		{"a program as a target", `{issuer: {secret_key: {}}, targets: [{name: t, command: {run: [/bin/sh]}}]}`, `spec.targets[t].command: command uses the machine`},
		{"a program as a reloader", `{issuer: {secret_key: {}}, reload: [{name: t, command: {run: [/bin/sh]}}]}`, `spec.reload[t].command: command uses the machine`},
		{"Rota's environment", `{issuer: {connection: db, password: {role: "${env:HOME}"}}}`, `spec.issuer.password.role: ${env:HOME} would be read where Rota runs`},
		{"Rota's files", `{issuer: {connection: db, password: {role: "${file:/var/run/secrets/kubernetes.io/serviceaccount/token}"}}}`, `would be read where Rota runs`},
		{"the value of a secret of rota.yaml", `{issuer: {connection: db, password: {role: "${secret:prod/key#current}"}}}`, `"prod/key" is no RotatingSecret of this namespace`},
		{"the value of another namespace's", `{issuer: {connection: db, password: {role: "${secret:bank/ledger#password}"}}}`, `"bank/ledger" is no RotatingSecret of this namespace`},
		{"a Secret of Kubernetes elsewhere", `{issuer: {connection: db, password: {role: "${kubernetes:bank/db#password}"}}}`, `${kubernetes:bank/db#password} is in another namespace`},
		{"the pace of another namespace's", `{issuer: {secret_key: {}}, policy: {apart_from: [{secret: bank/ledger, by: 9000d}]}}`, `spec.policy.apart_from: "bank/ledger" is no RotatingSecret of this namespace`},
		{"a misspelled key", `{issuer: {connection: db, password: {rle: app}}}`, `spec.issuer.password: unknown key "rle"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := resource(t, RotatingSecret, "shop/x", c.spec)
			other := resource(t, RotatingSecret, "shop/other", `{issuer: {secret_key: {}}, policy: {rotate_every: 30d}}`)
			got := compile(t, append(shopWorld(t), other, x)...)
			var texts []string
			for _, p := range got.Invalid[x.ID()] {
				texts = append(texts, x.Text(p))
			}
			text := strings.Join(texts, "\n")
			if c.want == "" && text != "" || !strings.Contains(text, c.want) {
				t.Errorf("got %s\nwant %s", text, c.want)
			}
			if in := strings.Contains(strings.Join(got.File.Names(), " "), "shop/x"); in != (c.want == "") {
				t.Errorf("it's in force: %t", in)
			}
			if len(got.Invalid) > 1 || !strings.Contains(strings.Join(got.File.Names(), " "), "bank/ledger") {
				t.Errorf("others are concerned: %v, in force %v", got.Invalid, got.File.Names())
			}
		})
	}
}

func TestANamespacesOwnConnectionReachesNothingOfRotasMachine(t *testing.T) {
	for _, c := range []struct{ name, spec, want string }{
		{"a database", `{postgres: {host: db, database: app, username: rota, password: "${kubernetes:db#password}"}}`, ""},
		{"Rota's own service account", `{kubernetes: {in_cluster: true}}`, `a namespace's own connection can't be of kind kubernetes`},
		{"AWS as Rota's role", `{aws: {region: eu-central-1}}`, `can't be of kind aws`},
		{"Vault as Rota's service account", `{vault: {address: "https://v:8200", kubernetes: {role: rota}}}`, `can't be of kind vault`},
		{"a program that's notified", `{command: {run: [/bin/sh]}}`, `can't be of kind command`},
		{"a Unix socket", `{postgres: {host: /var/run/postgresql, database: app, username: rota, password: x}}`, `spec.postgres.host: it reaches the machine that Rota runs on`},
		{"a hidden Unix socket", `{postgres: {host: "${kubernetes:db#host}", database: app, username: rota, password: x}}`, `spec.postgres.host: it reaches the machine`},
		{"a socket among addresses", `{redis: {addresses: ["redis:6379", /run/redis.sock], username: rota, password: x}}`, `spec.redis.addresses: it reaches the machine`},
		{"a certificate's key on Rota's disk", `{rabbitmq: {url: "https://mq:15671", username: rota, password: x, tls_cert: /a, tls_key: /b}}`, `spec.rabbitmq.tls_key: it reaches the machine`},
		{"the addresses of private networks", `{http: {url: "http://169.254.169.254/", allow_private: true}}`, `spec.http.allow_private: it reaches the machine`},
		{"a password in Rota's environment", `{postgres: {host: db, database: app, username: rota, password: "${env:X}"}}`, `${env:X} would be read where Rota runs`},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := resource(t, NamespacedLogin, "shop/x", c.spec)
			got := compile(t, append(shopWorld(t), x)...)
			var texts []string
			for _, p := range got.Invalid[x.ID()] {
				texts = append(texts, x.Text(p))
			}
			if text := strings.Join(texts, "\n"); c.want == "" && text != "" || !strings.Contains(text, c.want) {
				t.Errorf("got %s\nwant %s", text, c.want)
			}
		})
	}
}

func TestAnInvalidResourceLeavesItsLastValidSpecInForce(t *testing.T) {
	world := shopWorld(t)
	x := resource(t, RotatingSecret, "shop/x", `{issuer: {connection: nowhere, password: {role: app}}}`)
	x.LastValid = resource(t, RotatingSecret, "shop/x", `{issuer: {connection: db, password: {role: app}}, policy: {rotate_every: 7d}}`).Spec
	got := compile(t, append(world, x)...)
	if len(got.Invalid[x.ID()]) != 1 || !got.Outdated[x.ID()] || rota.FormatDuration(got.File.Policy("shop/x").RotateEvery) != "7d" {
		t.Errorf("invalid %v, outdated %v, policy %+v", got.Invalid, got.Outdated, got.File.Policy("shop/x"))
	}
	// Once its connection is no longer granted, the last valid spec isn't valid any more.
	x.LastValid["issuer"].(map[string]any)["connection"] = "hosts"
	got = compile(t, append(world, x)...)
	if len(got.Invalid[x.ID()]) != 1 || got.Outdated[x.ID()] || strings.Contains(strings.Join(got.File.Names(), " "), "shop/x") {
		t.Errorf("invalid %v, outdated %v, in force %v", got.Invalid, got.Outdated, got.File.Names())
	}
}

func TestTheFirstOfTwoResourcesThatExcludeEachOtherCounts(t *testing.T) {
	a := resource(t, RotatingSecret, "shop/a", `{issuer: {connection: db, password: {role: app}}, policy: {rotate_every: 30d}}`)
	b := resource(t, RotatingSecret, "shop/b", `{issuer: {connection: db, password: {role: app}}, policy: {rotate_every: 30d}}`)
	got := compile(t, append(shopWorld(t), a, b)...)
	if len(got.Invalid) != 1 || len(got.Invalid[b.ID()]) == 0 || !strings.Contains(b.Text(got.Invalid[b.ID()][0]), "shop/a") {
		t.Errorf("invalid: %v", got.Invalid)
	}
	clash := resource(t, RotatingSecret, "prod/key", `{issuer: {secret_key: {}}, policy: {rotate_every: 30d}}`)
	if got := compile(t, clash); len(got.Invalid[clash.ID()]) == 0 || got.File.Names()[0] != "prod/key" || len(got.File.Names()) != 1 {
		t.Errorf("a secret of rota.yaml was replaced: %v", got.Invalid)
	}
}

func TestResourcesAreWiredWithTheirSecretsOfKubernetes(t *testing.T) {
	got := compile(t, append(shopWorld(t), resource(t, RotatingSecret, "shop/x", `{issuer: {connection: shared, password: {role: app}}, policy: {rotate_every: 30d}}`))...)
	if diff := cmp.Diff([]string{"bank/db", "rota/db", "shop/db"}, got.File.KubernetesSecrets()); diff != "" {
		t.Errorf("Secrets (-want +got):\n%s", diff)
	}
	asked, value := map[string]bool{}, "first"
	env := Environment{
		LookupEnv: func(string) (string, bool) { return "x", true },
		OwnStore:  func(name string) rota.Store { return memory.NewStore(memory.Options{}) },
		KubernetesSecret: func(namespace, name, key string) (string, error) {
			asked[namespace+"/"+name+"#"+key] = true
			if namespace == "bank" {
				return "", errors.New("it isn't there")
			}
			return value, nil
		},
	}
	wired, err := got.File.Wire(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = wired.Close() }()
	if wired.ByName["shop/x"] == nil || !asked["rota/db#password"] {
		t.Errorf("broken %v, asked %v", wired.Broken, asked)
	}
	if err := wired.Broken["bank/ledger"]; err == nil || !strings.Contains(err.Error(), "${kubernetes:db#password} can't be read: it isn't there") {
		t.Errorf("a missing Secret: %v", err)
	}
	version := func(string) (string, error) { return "", nil }
	before, _ := got.File.Values(env, version)
	value = "second"
	if after, _ := got.File.Values(env, version); after == before {
		t.Error("a changed Secret goes unnoticed")
	}
	prints, err := got.File.Fingerprints()
	if err != nil || prints["shop/x"] == "" || prints["prod/key"] == "" {
		t.Errorf("fingerprints %v: %v", prints, err)
	}
	if files := got.File.Files(); len(files) != 1 {
		t.Errorf("files: %v", files)
	}
}

func TestRotaYamlCantReferToSecretsOfKubernetes(t *testing.T) {
	_, err := builtin.Parse("rota.yaml", []byte(`
connections: {a: {postgres: {host: h, database: d, username: u, password: "${kubernetes:x#y}"}}}
secrets: []
`))
	if err == nil || !strings.Contains(err.Error(), "only a custom resource can refer to a Kubernetes Secret") {
		t.Errorf("got %v", err)
	}
}
