package daemon_test

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/daemon"
)

func TestARefusedEditShowsUntilItIsFixed(t *testing.T) {
	const licence = "secrets: [{name: app/licence, issuer: {manual: {what: a licence}}, policy: {rotate_every: 90d}}]\n"
	said := &lines{}
	w := start(t, "", licence, func(o *daemon.Options) { o.Log = slog.New(slog.NewJSONHandler(said, nil)) })
	refused := func() *api.RefusedDoc {
		t.Helper()
		var doc api.StatusDoc
		w.do(http.MethodGet, "/v1/secrets", &doc)
		if metric := w.scrape()["rota_configuration_refused"]; (metric == 1) != (doc.Refused != nil) {
			return &api.RefusedDoc{Error: "metric and status differ, for now"}
		}
		return doc.Refused
	}
	if r := refused(); r != nil {
		t.Fatalf("refused from the start: %+v", r)
	}
	for name, fixed := range map[string]string{"by taking it back": licence, "by completing it": strings.Replace(licence, "90d", "80d", 1)} {
		w.configure(strings.Replace(licence, "rotate_every", "rotate_evry", 1))
		eventually(t, "the status says what is wrong", func() bool {
			r := refused()
			return r != nil && strings.Contains(r.Error, "rotate_evry") && strings.Contains(r.Error, "did you mean") && !r.Since.IsZero()
		})
		before := strings.Count(said.String(), "accepted again")
		w.configure(fixed)
		eventually(t, "it is fixed "+name, func() bool { return refused() == nil })
		if n := strings.Count(said.String(), "accepted again") - before; n != 1 {
			t.Errorf("%s: the log says %d times that it is fixed", name, n)
		}
	}
}

func TestAnIncludedFileIsWatched(t *testing.T) {
	w := start(t, "", "secrets: []\n")
	dir := filepath.Join(filepath.Dir(w.file), "teams")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	names := func() string {
		var doc api.StatusDoc
		w.do(http.MethodGet, "/v1/secrets", &doc)
		var names []string
		for _, s := range doc.Secrets {
			names = append(names, s.Secret)
		}
		return strings.Join(names, " ")
	}
	write := func(name, secret string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte("secrets: [{name: "+secret+", issuer: {manual: {what: a licence}}}]\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a.yaml", "a")
	w.configure("include: [teams/*.yaml]\n")
	eventually(t, "what it includes counts", func() bool { return names() == "a" })
	write("a.yaml", "b")
	eventually(t, "an edit counts", func() bool { return names() == "b" })
	write("c.yaml", "c")
	eventually(t, "a new file counts", func() bool { return names() == "b c" })
	if err := os.Remove(filepath.Join(dir, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a file that is gone counts", func() bool { return names() == "c" })
}
