package check

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rota-dev/rota/internal/testenv"
)

const edited = `secrets:
  - {name: licence, owner: me, issuer: {manual: {what: a licence key}}, policy: {rotate_every: 90d}}
`

// What the chart runs is what the program takes: its container starts with the rendered
// arguments, variables and files, as the pod's user, and answers the rendered probes. It
// notices an edited ConfigMap, stops in time, and finds its store again.
func TestTheContainerStartsAndAnswersItsProbes(t *testing.T) {
	crt, key := certificate(t)
	for name, c := range map[string]struct {
		values string
		text   bool // the edit has to have what the chart doesn't add
	}{
		"by default":           {values: "{}"},
		"with TLS":             {values: "server: {tls: {existingSecret: tls}}"},
		"on IPv6 and with TLS": {values: "server: {address: '::', tls: {existingSecret: tls}}"},
		"behind a proxy":       {values: "server: {trustedProxies: [10.0.0.0/8]}"},
		"a text, with TLS":     {values: "{config: \"server: {tls: {cert: /etc/rota/tls/tls.crt, key: /etc/rota/tls/tls.key}}\\nsecrets: []\\n\", server: {tls: {existingSecret: tls}}}", text: true},
		"without a volume":     {values: "persistence: {enabled: false}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each waits for Rota to look at its file again
			v := parse(t, c.values)
			onPort(t, v)
			p := newPod(t, rendered(t, v), map[string]map[string]string{"tls": {"tls.crt": crt, "tls.key": key, "ca.crt": crt}})
			p.start()
			p.becomesReady()
			if out, err := p.command(t.Context(), "access", "bootstrap").CombinedOutput(); err != nil {
				t.Errorf("kubectl exec … rota access bootstrap: %v: %s", err, out)
			}
			if !c.text {
				v["config"] = parse(t, edited)
				p.swap(filepath.Join(p.root, "config"), "2", map[string]string{"rota.yaml": p.here(rendered(t, v)["ConfigMap"][0].text("data", "rota.yaml"))}, 0o644)
				p.eventually("the edited ConfigMap", func() error {
					if !strings.Contains(p.log.String(), `"secrets":1,"changed":1`) {
						return errors.New("it isn't in force")
					}
					return nil
				})
				if strings.Contains(p.log.String(), "changes to server take effect") {
					t.Errorf("an edit of something else changed server:\n%s", p.log)
				}
			}
			p.stop()
			info, err := os.Stat(filepath.Join(p.root, "data", "data", "rota.db"))
			must(t, err)
			if info.Mode().Perm() != 0o600 {
				t.Errorf("the store has mode %o", info.Mode().Perm())
			}
			p.start() // a new pod with the same volume
			p.becomesReady()
			p.stop()
			if strings.Contains(p.log.String(), `"level":"ERROR"`) {
				t.Error(p.log)
			}
		})
	}
}

// Two replicas share a database and a key file that a Secret provides.
func TestAReplicaHasTheKeyFromASecret(t *testing.T) {
	db := testenv.Postgres(t, testenv.PostgresOptions{})
	dsn := db.DSN()
	crt, key := certificate(t)
	v := parse(t, "{replicas: 2, database: {existingSecret: db}, masterKey: {existingSecret: key}, server: {tls: {existingSecret: tls}}}")
	secrets := map[string]map[string]string{"db": {"url": dsn}, "key": {"rota.key": ""}, "tls": {"tls.crt": crt, "tls.key": key, "ca.crt": crt}}

	// As docs/kubernetes.md says: rota migrate in a folder of one's own makes the key.
	own := filepath.Join(t.TempDir(), "own")
	migrate := newPod(t, rendered(t, values{}), nil).command(t.Context(), "migrate")
	migrate.SysProcAttr, migrate.Env = nil, []string{"ROTA_DATA_DIR=" + own, "ROTA_DATABASE=" + dsn}
	if out, err := migrate.CombinedOutput(); err != nil {
		t.Fatalf("rota migrate: %v: %s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(own, "rota.key"))
	must(t, err)
	secrets["key"]["rota.key"] = string(text)

	var pods []*pod
	for range 2 {
		onPort(t, v)
		p := newPod(t, rendered(t, v), secrets)
		p.start()
		pods = append(pods, p)
	}
	for _, p := range pods {
		p.becomesReady()
	}
	for _, p := range pods {
		p.stop()
		if _, err := os.Stat(filepath.Join(p.root, "data", "data", "rota.key")); err == nil {
			t.Error("a replica made a key of its own")
		}
	}
}

// helm test's containers run, too.
func TestHelmTestsCommands(t *testing.T) {
	crt, key := certificate(t)
	v := parse(t, "server: {tls: {existingSecret: tls}}")
	port := onPort(t, v)
	p := newPod(t, rendered(t, v), map[string]map[string]string{"tls": {"tls.crt": crt, "tls.key": key, "ca.crt": crt}})
	p.start()
	p.becomesReady()
	r, err := render(t, v)
	must(t, err)
	if len(r.Hooks) != 1 {
		t.Fatalf("%d hooks", len(r.Hooks))
	}
	containers := objectsOf(t, r.Hooks[0].Manifest)[0].list("spec", "containers")
	if len(containers) != 2 {
		t.Errorf("%d containers", len(containers))
	}
	for _, c := range containers {
		var args []string
		for _, a := range c.at("args").([]any) {
			// There's no cluster DNS here.
			args = append(args, strings.ReplaceAll(p.here(fmt.Sprint(a)), "rota.rota.svc:8470", fmt.Sprintf("127.0.0.1:%d", port)))
		}
		command := p.command(t.Context(), args...)
		command.Env = nil
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("%s %v: %v: %s", c.text("name"), args, err, out)
		}
	}
	p.stop()
}

// onPort sets a free port.
func onPort(t *testing.T, v values) int {
	t.Helper()
	server, ok := v["server"].(map[string]any)
	if !ok {
		server = values{}
		v["server"] = server
	}
	port := testenv.FreePort(t)
	server["port"] = port
	return port
}

func certificate(t *testing.T) (crt, key string) {
	t.Helper()
	crtFile, keyFile, err := testenv.Certificate(t.TempDir())
	must(t, err)
	c, err := os.ReadFile(crtFile)
	must(t, err)
	k, err := os.ReadFile(keyFile)
	must(t, err)
	return string(c), string(k)
}
