package service

import (
	"context"
	"errors"
	"fmt"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"

	"github.com/rota-dev/rota/internal/access"
)

// Controls are the switches that override all policies.
type Controls interface {
	// Pause starts nothing new for the secrets until Resume.
	Pause(ctx context.Context, secrets []string, by access.Caller, why string) error
	// Resume lifts a pause or a quarantine.
	Resume(ctx context.Context, secrets []string, by access.Caller) error
	// Done records that a person has rotated the secret.
	Done(ctx context.Context, secret string, by access.Caller, why string) error
	// Freeze starts nothing new at all until Thaw.
	Freeze(ctx context.Context, by access.Caller, why string) error
	Thaw(ctx context.Context, by access.Caller) error
	// Reload reads the configuration again.
	Reload(ctx context.Context, by access.Caller, why string) error
}

// Control pauses, resumes, freezes, thaws, reloads, or records what a person did.
func (l *Local) Control(ctx context.Context, r api.ControlRequest) (api.ControlDoc, error) {
	doc := api.ControlDoc{Action: r.Action, Secrets: []string{}}
	if l.Controls == nil {
		return doc, errNoStore
	}
	by := l.Caller
	switch r.Action {
	case api.ControlFreeze, api.ControlThaw, api.ControlReload:
		if len(r.Secrets) > 0 {
			return doc, &UsageError{Err: fmt.Errorf("%s applies to all secrets and takes no names", r.Action)}
		}
		if err := l.authorize(ctx, access.Admin, string(r.Action), ""); err != nil {
			return doc, err
		}
	case api.ControlPause, api.ControlResume, api.ControlDone:
		if len(r.Secrets) == 0 {
			return doc, &UsageError{Err: errors.New("no secret named")}
		}
		if err := l.authorize(ctx, access.Rotate, string(r.Action), r.Secrets...); err != nil {
			return doc, err
		}
		var err error
		if doc.Secrets, err = l.resolveNames(r.Secrets); err != nil {
			return doc, err
		}
	default:
		return doc, &UsageError{Err: rota.WithRemedies(fmt.Errorf("unknown control %q", r.Action), rota.Outside(" pause, resume, done, freeze, thaw, reload"))}
	}
	switch r.Action {
	case api.ControlFreeze:
		return doc, l.Controls.Freeze(ctx, by, r.Reason)
	case api.ControlThaw:
		return doc, l.Controls.Thaw(ctx, by)
	case api.ControlReload:
		return doc, l.Controls.Reload(ctx, by, r.Reason)
	case api.ControlPause:
		return doc, l.Controls.Pause(ctx, doc.Secrets, by, r.Reason)
	case api.ControlResume:
		return doc, l.Controls.Resume(ctx, doc.Secrets, by)
	default:
		var errs []error
		for _, name := range doc.Secrets {
			errs = append(errs, l.Controls.Done(ctx, name, by, r.Reason))
		}
		return doc, errors.Join(errs...)
	}
}
