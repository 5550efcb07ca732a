//go:build lambda

package config

import (
	"context"
	"fmt"

	"github.com/rota-dev/rota"
)

// chat is not in the function: its services use text/template, which calls
// methods by their names, so that the linker must keep each method of all AWS
// clients. That is half of the function's memory.
func (w *wiring) chat(_ context.Context, name string, _ *Chat) (rota.Notifier, error) {
	return nil, fmt.Errorf("connection %s: chat is not in the build for Lambda (try: webhook or sns, or the whole program as bootstrap)", name)
}
