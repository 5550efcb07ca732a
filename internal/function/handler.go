package function

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/providers"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/rotation"
)

// Options connect a handler to the outside world.
type Options struct {
	// Providers are what the configuration can use. Defaults to
	// [providers.List].
	Providers []provider.Provider
	// LookupEnv looks up settings. Defaults to os.LookupEnv.
	LookupEnv func(string) (string, bool)
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
	// Sleep waits. Defaults to rota.Sleep.
	Sleep func(context.Context, time.Duration) error
	// Log gets every step. Defaults to nothing.
	Log *slog.Logger
	// Metrics gets lines in CloudWatch's embedded metric format. Defaults to
	// nothing.
	Metrics io.Writer
}

func (o Options) withDefaults() Options {
	if o.LookupEnv == nil {
		o.LookupEnv = os.LookupEnv
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = rota.Sleep
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = io.Discard
	}
	if o.Providers == nil {
		o.Providers = providers.List()
	}
	return o
}

// New reads the settings and creates a handler. It makes no calls.
func New(o Options) (*Handler, error) {
	o = o.withDefaults()
	catalog, err := config.NewCatalog(o.Providers...)
	if err != nil {
		return nil, err
	}
	s, err := readSettings(o.LookupEnv)
	if err != nil {
		return nil, err
	}
	return &Handler{Options: o, settings: s, catalog: catalog}, nil
}

// Handle carries out one event. Neither its result nor its error contains a
// value. The error has a Lambda error type: InvalidEvent, InvalidConfiguration,
// Held, or, by what helps, RotationStopped (a person), RotationRetryable (time)
// and ValueRejected (another rotation).
func (h *Handler) Handle(ctx context.Context, raw json.RawMessage) (any, error) {
	ctx, cancel := withMargin(ctx)
	defer cancel()
	out, err := h.handle(ctx, raw)
	if err != nil {
		typed := messages.InvokeResponse_Error{Type: typeOf(err), Message: rota.WithHint(err.Error(), h.settings.readable(rota.RemediesOf(err)), rota.Remedy.String)}
		h.Log.ErrorContext(ctx, "failed", "type", typed.Type, "error", typed.Message)
		return nil, typed
	}
	return out, nil
}

func (h *Handler) handle(ctx context.Context, raw json.RawMessage) (any, error) {
	if h.settingsErr != nil {
		return nil, h.settingsErr
	}
	e, err := parseEvent(raw)
	if err != nil {
		return nil, err
	}
	h.Log.InfoContext(ctx, "event", "kind", e.kind())
	id := ""
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		id = lc.AwsRequestID
	}
	if s, ok := e.(sweepEvent); ok && s.ID != "" {
		id = s.ID // the same for every delivery of the event
	}
	inv, err := h.begin(ctx, id, eventID(e, id))
	if err != nil {
		return nil, err
	}
	defer inv.end()
	switch e := e.(type) {
	case rotationEvent:
		return inv.notifying(ctx, e.SecretID, func() (any, error) { return inv.rotate(ctx, e) })
	case lifecycleEvent:
		return inv.notifying(ctx, cmp.Or(e.Secret, e.Username), func() (any, error) { return inv.lifecycle(ctx, e) })
	case serviceAccountEvent:
		return inv.notifying(ctx, cmp.Or(e.Secret, e.Username), func() (any, error) { return inv.serviceAccount(ctx, e) })
	case sweepEvent:
		if h.settings.user == "" || e.Action != "" {
			return inv.sweep(ctx, e)
		}
	}
	if h.settings.user == "" {
		return nil, rota.WithRemedies(&eventError{reason: "it is empty, and the environment names no user"}, rota.Outside(eventForms))
	}
	return inv.notifying(ctx, cmp.Or(h.settings.secret, h.settings.user), func() (any, error) { return inv.rotateSingle(ctx) })
}

// eventID is the same for every delivery of an event: Secrets Manager repeats a
// step as a request of its own.
func eventID(e event, request string) string {
	if r, ok := e.(rotationEvent); ok {
		return r.Step + " " + r.ClientRequestToken
	}
	return request
}

// typeOf is the error's type for Lambda, by which alarms and logs can filter.
func typeOf(err error) string {
	if _, ok := errors.AsType[*eventError](err); ok {
		return "InvalidEvent"
	}
	if _, ok := errors.AsType[*heldError](err); ok {
		return "Held"
	}
	if _, ok := errors.AsType[*rotation.HeldError](err); ok {
		return "Held"
	}
	if _, ok := errors.AsType[*configError](err); ok {
		return "InvalidConfiguration"
	}
	switch rota.ClassOf(err) {
	case rota.ClassStop:
		return "RotationStopped"
	case rota.ClassRegenerate:
		return "ValueRejected"
	}
	return "RotationRetryable"
}

// WithRequestID sets the id of Lambda's request. What the invocation creates is
// named after it, so that a repeated invocation finds it.
func WithRequestID(ctx context.Context, id string) context.Context {
	return lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: id})
}
