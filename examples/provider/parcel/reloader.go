package parcel

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/httpapi"
)

// App is a reloader: an app at Parcel that reads its settings when it starts.
type App struct {
	Reloader   string // the reloader's name in rota.yaml
	Connection *httpapi.Connection
	App        string
	// Timeout bounds a reload; 5 minutes if it's 0.
	Timeout time.Duration
}

var _ rota.Reloader = (*App)(nil)

// Name implements [rota.Reloader].
func (a *App) Name() string { return a.Reloader }

// Reload implements [rota.Reloader]: it returns once the app is healthy and runs
// with the version. Right after a restart, it's still the old process that
// answers "healthy".
func (a *App) Reload(ctx context.Context, r rota.ReloadRequest) error {
	timeout := a.Timeout
	if timeout == 0 {
		timeout = 5 * time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	op := "restart app " + a.App
	if err := a.Connection.Do(ctx, httpapi.Request{Op: op, Method: http.MethodPost, Path: httpapi.Path("apps", a.App, "restart"), Body: map[string]string{"version": r.Version}, Needs: needs}, nil); err != nil {
		return err
	}
	for {
		var app struct{ State, Version string }
		if err := a.Connection.Do(ctx, httpapi.Request{Op: op, Method: http.MethodGet, Path: httpapi.Path("apps", a.App), Needs: needs}, &app); err != nil {
			return err
		}
		switch {
		case app.State == "healthy" && app.Version == r.Version:
			return nil
		case app.State == "crashed":
			return a.fail(op, errors.New("it crashed"))
		}
		if err := rota.Sleep(ctx, 500*time.Millisecond); err != nil {
			return a.fail(op, err)
		}
	}
}

// fail is an error that a retry might end.
func (a *App) fail(op string, err error) error {
	return &rota.Error{System: a.Connection.System(), Connection: a.Connection.Name(), Op: op, Class: rota.ClassWait, Err: err}
}
