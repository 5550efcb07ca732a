package agent

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/client"
)

// Secrets are those that something is made from, such as a child's environment or a
// file. Templates name the fields of a single secret as they are, {password}, and
// those of several with the secret before them, {prod/orders-db:password}.
type Secrets struct {
	names  []string
	client *client.Client
}

// NewSecrets returns the secrets with these names. It reads nothing yet.
func NewSecrets(c *client.Client, names ...string) *Secrets {
	return &Secrets{names: slices.Compact(slices.Sorted(slices.Values(names))), client: c}
}

// Names are the secrets' names, sorted.
func (s *Secrets) Names() []string { return s.names }

// Current returns all fields of the current values. The first call reads them all at
// once and waits for them.
func (s *Secrets) Current(ctx context.Context) (rota.Credential, error) {
	values, errs := make([]client.Value, len(s.names)), make([]error, len(s.names))
	var reading sync.WaitGroup
	for i, name := range s.names {
		reading.Go(func() { values[i], errs[i] = s.client.Secret(name).Get(ctx) })
	}
	reading.Wait()
	if err := errors.Join(errs...); err != nil {
		return rota.Credential{}, err
	}
	fields := map[string]string{}
	for i, v := range values {
		for name, value := range v.Fields() {
			if len(s.names) > 1 {
				name = s.names[i] + ":" + name
			}
			fields[name] = value
		}
	}
	return rota.NewCredential(fields), nil
}

// Watch calls changed whenever one of them may have changed, until stop is called.
// It may be called from several goroutines, and must not wait.
func (s *Secrets) Watch(changed func()) (stop func()) {
	var stops []func()
	for _, name := range s.names {
		stops = append(stops, s.client.Secret(name).Watch(func(client.Value) { changed() }))
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}
