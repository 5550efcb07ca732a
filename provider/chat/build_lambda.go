//go:build lambda

// Chat isn't in the function: its services use text/template, which calls
// methods by their names, so that the linker must keep each method of all AWS
// clients. That is half of the function's memory.
package chat

import (
	"fmt"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

func (c *notifierConfig) build(b *provider.Build) (rota.Notifier, error) {
	return nil, rota.WithRemedies(fmt.Errorf("connection %s: chat is not in the build for Lambda", b.Name), rota.Configure("", "webhook or sns, or the whole program as bootstrap"))
}
