package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/memory"
)

// ownFile is a rota.yaml in a folder of its own, with one target of a file.
func ownFile(dir, target string) string {
	return `
connections: {db: {postgres: {host: db.internal, username: rota, password: "${file:db.password}"}}}
server: {tls: {cert: ` + filepath.Join(dir, "tls.crt") + `, key: ` + filepath.Join(dir, "tls.key") + `}}
secrets:
  - name: x
    issuer: {connection: db, password: {role: app}}
    targets: [{name: f, file: {path: "` + target + `", format: json}}]
`
}

func TestNoTargetWritesToWhatRotaLivesOn(t *testing.T) {
	dir := t.TempDir()
	catalog := builtin.WithOwn(provider.OwnPath{Path: filepath.Join(dir, "data"), What: "Rota's data folder"})
	for target, want := range map[string]string{
		"data/rota.key":        "Rota's data folder",
		"data/deep/inside":     "Rota's data folder",
		"data":                 "Rota's data folder",
		"x/../data/rota.db":    "Rota's data folder",
		"rota.yaml":            "the configuration itself",
		"db.password":          "the file of ${file:db.password}",
		"tls.key":              "a file of the server's certificate",
		"data-of-the-app.json": "",
		"app.json":             "",
	} {
		_, err := catalog.Parse(filepath.Join(dir, "rota.yaml"), []byte(ownFile(dir, dir+"/"+target)))
		switch {
		case want == "" && err != nil:
			t.Errorf("%s is refused: %v", target, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want+", which no target may write to")):
			t.Errorf("%s: want an error with %q, got %v", target, want, err)
		}
	}
}

// The text doesn't show it, but the path leads there.
func TestNoTargetWritesThroughALinkToWhatRotaLivesOn(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	const key = `{"key": "of the store"}`
	for _, err := range []error{
		os.Mkdir(at("data"), 0o700), os.WriteFile(at("data/rota.key"), []byte(key), 0o600), os.WriteFile(at("db.password"), []byte(key), 0o600),
		os.Symlink(at("data"), at("elsewhere")), os.Link(at("db.password"), at("same.json")), os.Link(at("data/rota.key"), at("linked.json")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	catalog := builtin.WithOwn(provider.OwnPath{Path: at("data"), What: "Rota's data folder"}, provider.OwnPath{Path: at("data/rota.key"), What: "the key file"})
	for _, target := range []string{"elsewhere/rota.key", "elsewhere/new.json", "same.json", "linked.json"} {
		file, err := catalog.Parse(at("rota.yaml"), []byte(ownFile(dir, at(target))))
		if err != nil {
			t.Fatal(err)
		}
		wired, err := file.Wire(t.Context(), Environment{OwnStore: func(string) rota.Store { return memory.NewStore(memory.Options{}) }})
		if err != nil {
			t.Fatal(err)
		}
		if len(wired.Secrets) != 1 {
			t.Fatal(wired.Broken)
		}
		to := wired.Secrets[0].Targets[0]
		err = to.Deliver(t.Context(), rota.DeliverRequest{Secret: "x", Version: "rota-1", Credential: rota.NewCredential(map[string]string{"password": "hush"})})
		if err == nil || !strings.Contains(err.Error(), "no target may write to") {
			t.Errorf("deliver to %s: %v", target, err)
		}
		for _, f := range to.(rota.Preflighter).Preflight(t.Context()) {
			if f.OK {
				t.Errorf("preflight of %s finds %s in order", target, f.Check)
			}
		}
		if err := wired.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"data/rota.key", "db.password"} {
		if content, err := os.ReadFile(at(name)); err != nil || string(content) != key {
			t.Errorf("%s is now %q, %v", name, content, err)
		}
	}
	if _, err := os.Stat(at("data/new.json")); err == nil {
		t.Error("a file was made in the data folder")
	}
}
