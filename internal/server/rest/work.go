package rest

import (
	"context"
	"time"

	"github.com/rota-dev/rota/api"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rota-dev/rota/internal/service"
)

// workRoutes registers the operations that act on secrets.
func (a *server) workRoutes() {
	for _, w := range []struct {
		operation api.Operation
		summary   string
	}{
		{api.OpRotate, "Rotate a secret now"},
		{api.OpRollback, "Roll back to the previous credential"},
		{api.OpDeliver, "Deliver the current credential again"},
		{api.OpDeactivate, "Deactivate the previous credential before its grace period ends"},
		{api.OpDelete, "Delete the previous credential before its second grace period ends"},
	} {
		write(a, huma.Operation{
			OperationID: string(w.operation) + "-secret", Path: "/v1/secrets/{name}/" + string(w.operation),
			Summary: w.summary, Tags: []string{"work"},
		}, func(ctx context.Context, o service.Operations, in *struct {
			Name   string `path:"name" maxLength:"512" doc:"The secret's name, each / in it as %2F."`
			NoWait bool   `query:"no_wait" doc:"Respond immediately if another worker has the secret."`
		}) (api.WorkDoc, error) {
			return o.Work(ctx, api.WorkRequest{Operation: w.operation, Secrets: []string{in.Name}, NoWait: in.NoWait})
		})
	}
	write(a, huma.Operation{OperationID: "work", Path: "/v1/work", Summary: "Do one thing to several secrets", Tags: []string{"work"}},
		func(ctx context.Context, o service.Operations, in *struct{ Body api.WorkRequest }) (api.WorkDoc, error) {
			return o.Work(ctx, in.Body)
		})
	write(a, huma.Operation{OperationID: "run", Path: "/v1/run", Summary: "Do everything that's due, once", Tags: []string{"work"}},
		func(ctx context.Context, o service.Operations, in *struct {
			Name []string `query:"name,explode" maxItems:"1000" doc:"Only these secrets."`
			All  bool     `query:"all" doc:"Look at every secret, due or not."`
		}) (api.WorkDoc, error) {
			return o.Run(ctx, api.RunRequest{Secrets: in.Name, All: in.All})
		})
	write(a, huma.Operation{OperationID: "adopt-secret", Path: "/v1/secrets/{name}/adopt", Summary: "Take over an existing credential without rotating it", Tags: []string{"work"}},
		func(ctx context.Context, o service.Operations, in *struct {
			Name string `path:"name" maxLength:"512" doc:"The secret's name, each / in it as %2F."`
			Body struct {
				Fields    map[string]string `json:"fields,omitempty" doc:"The credential's fields, if the store doesn't hold it yet."`
				NotBefore *time.Time        `json:"not_before,omitempty" doc:"Don't rotate before this time."`
				NoWait    bool              `json:"no_wait,omitempty" doc:"Respond immediately if another worker has the secret."`
			}
		}) (api.WorkDoc, error) {
			r := api.AdoptRequest{Secret: in.Name, Fields: in.Body.Fields, NoWait: in.Body.NoWait}
			if in.Body.NotBefore != nil {
				r.NotBefore = *in.Body.NotBefore
			}
			return o.Adopt(ctx, r)
		})
	write(a, huma.Operation{OperationID: "check", Path: "/v1/check", Summary: "Ask the real systems whether a rotation would work", Tags: []string{"secrets"}},
		func(ctx context.Context, o service.Operations, in *struct {
			Name []string `query:"name,explode" maxItems:"1000" doc:"Only these secrets."`
		}) (api.CheckDoc, error) {
			return o.Check(ctx, in.Name)
		})
	write(a, huma.Operation{OperationID: "alert", Path: "/v1/alert", Summary: "Notify about overdue rotations", Tags: []string{"work"}},
		func(ctx context.Context, o service.Operations, _ *struct{}) (api.AlertDoc, error) {
			return o.Alert(ctx)
		})
}

// controlRoutes registers the switches that override all policies.
func (a *server) controlRoutes() {
	type because struct {
		Reason string `json:"reason,omitempty" maxLength:"500" doc:"The reason, for people."`
	}
	for _, c := range []struct {
		action  api.ControlAction
		summary string
	}{
		{api.ControlPause, "Start nothing new for a secret"},
		{api.ControlResume, "Lift a pause or a quarantine"},
		{api.ControlDone, "Record that a person has rotated a secret"},
	} {
		write(a, huma.Operation{
			OperationID: string(c.action) + "-secret", Path: "/v1/secrets/{name}/" + string(c.action), Summary: c.summary, Tags: []string{"controls"},
		}, func(ctx context.Context, o service.Operations, in *struct {
			Name string   `path:"name" maxLength:"512" doc:"The secret's name, each / in it as %2F."`
			Body *because `required:"false"`
		}) (api.ControlDoc, error) {
			r := api.ControlRequest{Action: c.action, Secrets: []string{in.Name}}
			if in.Body != nil {
				r.Reason = in.Body.Reason
			}
			return o.Control(ctx, r)
		})
	}
	for _, c := range []struct {
		action  api.ControlAction
		summary string
	}{
		{api.ControlFreeze, "Start nothing new at all"},
		{api.ControlThaw, "End a freeze"},
		{api.ControlReload, "Reload the configuration"},
	} {
		write(a, huma.Operation{OperationID: string(c.action), Path: "/v1/" + string(c.action), Summary: c.summary, Tags: []string{"controls"}},
			func(ctx context.Context, o service.Operations, in *struct {
				Body *because `required:"false"`
			}) (api.ControlDoc, error) {
				r := api.ControlRequest{Action: c.action}
				if in.Body != nil {
					r.Reason = in.Body.Reason
				}
				return o.Control(ctx, r)
			})
	}
}
