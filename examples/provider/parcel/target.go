package parcel

import (
	"context"
	"errors"
	"net/http"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/httpapi"
)

// Setting is a target: a setting of an account, such as the token that one of
// its apps logs in with.
type Setting struct {
	Target     string // the target's name in rota.yaml
	Connection *httpapi.Connection
	Account    string
	Setting    string
	Value      rota.FieldMap // what it gets: the credential's fields, by the setting's name
}

var _ rota.Target = (*Setting)(nil)

// Name implements [rota.Target].
func (s *Setting) Name() string { return s.Target }

// Deliver implements [rota.Target]. Parcel replaces a setting at once, so
// readers see the old value or the new one.
func (s *Setting) Deliver(ctx context.Context, r rota.DeliverRequest) error {
	op := "write setting " + s.Setting + " of account " + s.Account
	values, err := s.Value.Render(r.Credential)
	if err != nil {
		return s.Connection.Refuse(op, "correct the target's field", err)
	}
	value := values[s.Setting]
	at := httpapi.Path("accounts", s.Account, "settings", s.Setting)
	var there struct{ Value string }
	err = s.Connection.Do(ctx, httpapi.Request{Op: op, Method: http.MethodGet, Path: at, Needs: needs}, &there)
	if err != nil && !errors.Is(err, rota.ErrNotFound) {
		return err
	}
	if there.Value == value {
		return nil // a repeated delivery changes nothing
	}
	return s.Connection.Do(ctx, httpapi.Request{Op: op, Method: http.MethodPut, Path: at, Body: map[string]string{"value": value}, Needs: needs}, nil)
}
