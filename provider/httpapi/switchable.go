package httpapi

import (
	"context"

	"github.com/rota-dev/rota"
)

// SwitchableAPI is a [TokenAPI] whose tokens can be switched off and on again.
type SwitchableAPI interface {
	TokenAPI
	// Switch switches a token off or on. It's no error if it's so already; if the token
	// is gone, that's [rota.ErrNotFound].
	Switch(ctx context.Context, op, id string, on bool) error
}

// SwitchableTokens are [Tokens] that are switched off before they're deleted.
type SwitchableTokens struct {
	Tokens
	api SwitchableAPI
}

var _ rota.Deactivator = (*SwitchableTokens)(nil)

// Switchable returns the issuer with an API.
func (t Tokens) Switchable(api SwitchableAPI) *SwitchableTokens {
	t.API, t.switchable = api, true
	return &SwitchableTokens{t, api}
}

// Deactivate implements [rota.Deactivator].
func (t *SwitchableTokens) Deactivate(ctx context.Context, r rota.RetireRequest) error {
	return t.api.Switch(ctx, "deactivate "+t.What(), r.CredentialID, false)
}

// Reactivate implements [rota.Deactivator].
func (t *SwitchableTokens) Reactivate(ctx context.Context, r rota.RetireRequest) error {
	return t.api.Switch(ctx, "reactivate "+t.What(), r.CredentialID, true)
}
