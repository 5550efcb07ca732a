package rest

import (
	"context"
	"strconv"
	"time"

	"github.com/rota-dev/rota/api"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/sse"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/rotation"
)

// heartbeatInterval is how often a stream sends a sign of life.
const heartbeatInterval = 15 * time.Second

type eventsInput struct {
	LastEventID string `header:"Last-Event-ID" doc:"The id of the last event the client has; the stream continues after it."`
	After       int64  `query:"after" minimum:"0" doc:"The same, for clients that can't set the header."`
	Secret      string `query:"secret" doc:"Only events of this secret."`
}

// eventRoutes registers the stream and the long poll.
func (a *server) eventRoutes() {
	a.watchRoute()
	sse.Register(a.huma, huma.Operation{
		OperationID: "stream-events", Method: "GET", Path: "/v1/events", Tags: []string{"audit"},
		Summary: "Events as they happen, as server-sent events without values", Errors: []int{400, 401, 422, 429, 500},
		Middlewares: huma.Middlewares{a.limitOpen},
	}, map[string]any{"entry": api.Event{}, "heartbeat": api.Heartbeat{}}, a.stream)
}

// stream sends what the caller may know, until the client leaves or is too slow,
// or the caller has other rules or none: the client then has to come back.
func (a *server) stream(ctx context.Context, in *eventsInput, send sse.Sender) {
	wait := a.Feed.Watch(in.Secret)
	defer wait.Stop()
	after := in.After
	if id, err := strconv.ParseInt(in.LastEventID, 10, 64); err == nil {
		after = id
	}
	gone := a.Feed.Gone()
	last, err := a.Feed.Last(ctx)
	if err != nil {
		return
	}
	if after == 0 || after > last { // the client saw it before a backup was restored
		after = last
	}
	open := a.openRequest(ctx)
	defer open.stop()
	alive := time.NewTicker(heartbeatInterval)
	defer alive.Stop()
	if send.Data(api.Heartbeat{At: a.Now().UTC()}) != nil {
		return
	}
	for {
		entries, err := a.Feed.Since(ctx, after, 500)
		if err != nil {
			return // the client reconnects with the last id
		}
		for _, e := range entries {
			after = e.Seq
			if open.check() != nil {
				return
			}
			if !maySee(open.caller, e.Entry) || in.Secret != "" && e.Entry.Secret != in.Secret {
				continue
			}
			event := api.Event{
				At: e.Entry.At, Actor: e.Entry.Actor, Secret: e.Entry.Secret, Step: e.Entry.Step, Object: e.Entry.Object,
				Version: e.Entry.Version, Credential: e.Entry.Credential, Outcome: e.Entry.Outcome, Detail: e.Entry.Detail,
			}
			if send(sse.Message{ID: int(e.Seq), Data: event}) != nil {
				return
			}
		}
		if open.check() != nil {
			return
		}
		if len(entries) == 500 {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-a.Feed.Done():
			return // the client reconnects, perhaps to another replica
		case <-gone:
			return // what the client has seen last isn't there any more
		case <-wait.Changed():
		case <-open.tick.C:
		case <-alive.C:
			if send.Data(api.Heartbeat{At: a.Now().UTC()}) != nil {
				return
			}
		}
	}
}

// maySee reports whether the caller may get an event: what's done to the
// credentials of secrets they may list. Reads and refusals are only for
// those who may see the audit.
func maySee(c access.Caller, e rotation.Entry) bool {
	if c.Allows(access.Audit, e.Secret) {
		return true
	}
	switch rota.Step(e.Step) {
	case rota.StepCreate, rota.StepSet, rota.StepTest, rota.StepPromote, rota.StepDeliver, rota.StepReload, rota.StepDeactivate, rota.StepDelete, rota.StepRenew, rota.StepRollback, "adopt", "done":
		return e.Outcome != rotation.OutcomeDenied && c.Allows(access.List, e.Secret)
	}
	return false
}
