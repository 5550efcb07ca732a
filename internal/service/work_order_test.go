package service

import (
	"context"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/providers"
	"github.com/rota-dev/rota/rotation"
)

func TestASecretComesAfterTheOneItsConnectionLogsInWith(t *testing.T) {
	file, err := config.MustCatalog(providers.List()...).Parse("rota.yaml", []byte(`
connections:
  root: {postgres: {host: db, username: rota}}
  admin: {postgres: {host: db, username: admin, password: "${secret:admin#password}"}}
secrets:
  - {name: app, issuer: {connection: admin, password: {role: app}}}
  - {name: admin, issuer: {connection: root, password: {role: admin}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	old, renewed := &rotation.Secret{Name: "app"}, &rotation.Secret{Name: "app"}
	var mu sync.Mutex
	var order []string
	l := &Local{File: file, Rewire: func(context.Context) (*config.Wired, error) {
		order = append(order, "rewired")
		return &config.Wired{ByName: map[string]*rotation.Secret{"app": renewed}}, nil
	}}
	list := []chosen{{name: "app", secret: old}, {name: "admin", secret: &rotation.Secret{Name: "admin"}}}
	done := l.work(t.Context(), list, true, func(_ context.Context, s *rotation.Secret) (rotation.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, s.Name)
		if s == old {
			t.Error("app still logs in with the old value")
		}
		return rotation.Result{}, nil
	})
	if diff := cmp.Diff([]string{"admin", "rewired", "app"}, order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if done[0].name != "app" || done[1].name != "admin" {
		t.Errorf("the answers are those of %s and %s", done[0].name, done[1].name)
	}
}
