// Package rotaserver reads secrets from a running rota, for package client.
//
//	server, err := api.New(api.Options{URL: "https://rota.example.com", Token: api.TokenFromFile("/run/secrets/rota-token")})
//	…
//	secrets, err := client.Open(client.Options{Source: rotaserver.New(server)})
//
// The caller needs the permissions read and list for the secrets. Changes are
// pushed over the server's stream of events: a new version arrives within a second
// or so of its promotion.
package rotaserver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/rotation"
)

// New returns a source that asks the server.
//
// It's a [client.Reporter], too: the server knows which versions the program holds.
func New(server *api.Client) client.Pusher { return &source{server} }

type source struct{ server *api.Client }

// Fetch reads a value only if its version isn't the one that the caller has: every
// read of a value is in the server's audit, and most questions are whether there
// is a new one.
func (s *source) Fetch(ctx context.Context, r client.Request) (client.Value, error) {
	if r.Have != "" && !r.Previous {
		current, err := s.server.Current(ctx, r.Secret)
		if err != nil {
			return client.Value{}, translate(err)
		}
		if current.Version == r.Have {
			return client.Value{}, client.ErrUnchanged
		}
	}
	label := rota.LabelCurrent
	if r.Previous {
		label = rota.LabelPrevious
	}
	ask := api.GetRequest{Secret: r.Secret, Label: label, Instance: r.Instance}
	doc, err := s.server.Get(ctx, ask)
	if errors.Is(err, api.ErrUsage) && ask.Instance != "" {
		ask.Instance = "" // a server from before there were reports
		doc, err = s.server.Get(ctx, ask)
	}
	if err != nil {
		return client.Value{}, translate(err)
	}
	return client.NewValue(doc.Version, doc.Fields), nil
}

// mostReported is how many secrets the server takes in one request.
const mostReported = 1000

// Report tells the server which versions the program holds.
func (s *source) Report(ctx context.Context, r client.Report) (client.Reported, error) {
	all := client.Reported{Refused: map[string]string{}}
	if r.Ended {
		_, err := s.server.Report(ctx, api.ReportRequest{Instance: r.Instance, Ended: true})
		return all, err
	}
	for names := range slices.Chunk(slices.Sorted(maps.Keys(r.Holding)), mostReported) {
		request := api.ReportRequest{Instance: r.Instance}
		for _, name := range names {
			request.Holding = append(request.Holding, api.HeldVersions{Secret: name, Versions: r.Holding[name]})
		}
		doc, err := s.server.Report(ctx, request)
		if err != nil {
			return all, err
		}
		if next := time.Duration(doc.NextSeconds) * time.Second; all.Next == 0 || next < all.Next {
			all.Next = next
		}
		for _, refused := range doc.Refused {
			all.Refused[refused.Secret] = string(refused.Reason)
			if refused.Reason != api.RefusedFull {
				all.Denied = append(all.Denied, refused.Secret)
			}
		}
	}
	return all, nil
}

// translate says what an error means for package client. A caller that isn't
// authenticated may be soon, with the next token.
func translate(err error) error {
	if errors.Is(err, api.ErrDenied) {
		return fmt.Errorf("%w: %w", client.ErrDenied, err)
	}
	return err // rota.ErrNotFound is client.ErrNotFound
}

// Push follows the server's events.
func (s *source) Push(ctx context.Context, changed func(string)) error {
	everything := func() { changed("") }
	return s.server.Stream(ctx, api.StreamRequest{Connected: everything}, func(e api.NumberedEvent) error {
		if mayChange(e.Event) {
			changed(e.Secret)
		}
		return nil
	})
}

// mayChange reports whether there may be another current version. A rotation is
// many events, and these are the only ones that move the label.
func mayChange(e api.Event) bool {
	switch e.Step {
	case rotation.OpGet, rotation.OpCurrent, rotation.OpStatus, rotation.OpVersions, rotation.OpList, rotation.OpPlan, rotation.OpCheck:
		return false
	}
	return e.Outcome == rotation.OutcomeSucceeded
}
