package rest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/rota-dev/rota/api"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/service"
)

// secretInput is a secret in the path.
type secretInput struct {
	Name string `path:"name" maxLength:"512" doc:"The secret's name, each / in it as %2F."`
	Conditional
}

// Conditional says which copy of the response the client has.
type Conditional struct {
	IfNoneMatch string `header:"If-None-Match" doc:"The ETag of an earlier response: 304 if nothing has changed."`
}

func (c Conditional) matches(tag string) bool {
	if c.IfNoneMatch == "" || tag == "" {
		return false
	}
	for t := range strings.SplitSeq(c.IfNoneMatch, ",") {
		if t = strings.TrimSpace(t); t == "*" || strings.TrimPrefix(t, "W/") == tag {
			return true
		}
	}
	return false
}

type statusInput struct {
	Conditional
	Name  []string `query:"name,explode" maxItems:"1000" doc:"Only these secrets."`
	After string   `query:"after" doc:"Only secrets whose names sort after this one: next from the previous page."`
	Limit int      `query:"limit" minimum:"1" maximum:"10000" default:"1000" doc:"At most so many."`
}

type planInput struct {
	Name  []string  `query:"name,explode" maxItems:"1000" doc:"Only these secrets."`
	Until time.Time `query:"until" doc:"How far ahead to plan; without it, up to the next step."`
}

type getInput struct {
	Name    string `path:"name" maxLength:"512" doc:"The secret's name, each / in it as %2F."`
	Field   string `query:"field" doc:"Only this field."`
	Label   string `query:"label" doc:"The version with this label. Defaults to AWSCURRENT."`
	Version string `query:"version" doc:"The version with this id."`

	Instance string `query:"instance" maxLength:"200" doc:"The application's instance that reads it, and holds it from then on."`
}

type auditInput struct {
	Conditional
	Secret string `query:"secret" doc:"Only entries of this secret."`
	After  int64  `query:"after" minimum:"0" doc:"Only entries with a higher number."`
	Before int64  `query:"before" minimum:"0" doc:"Only entries with a lower number. For the previous page, pass the first number of this one."`
	Limit  int    `query:"limit" minimum:"1" maximum:"10000" default:"100" doc:"At most so many, the newest."`
	Oldest bool   `query:"oldest" doc:"The oldest of those that match, not the newest."`
}

// readRoutes registers read-only operations.
func (a *server) readRoutes() {
	read(a, huma.Operation{OperationID: "list-secrets", Path: "/v1/secrets", Summary: "The state of secrets", Tags: []string{"secrets"}},
		func(ctx context.Context, o service.Operations, in *statusInput) (api.StatusDoc, error) {
			return o.Status(ctx, api.StatusRequest{Names: in.Name, After: in.After, Limit: in.Limit})
		})
	read(a, huma.Operation{OperationID: "get-secret", Path: "/v1/secrets/{name}", Summary: "The state of one secret", Tags: []string{"secrets"}},
		func(ctx context.Context, o service.Operations, in *secretInput) (api.StatusSecretDoc, error) {
			doc, err := o.Status(ctx, api.StatusRequest{Names: []string{in.Name}})
			if err != nil {
				return api.StatusSecretDoc{}, err
			}
			return doc.Secrets[0], nil
		})
	read(a, huma.Operation{OperationID: "describe-secrets", Path: "/v1/descriptions", Summary: "What rotating secrets would do", Tags: []string{"secrets"}},
		func(ctx context.Context, o service.Operations, in *struct {
			Conditional
			Name []string `query:"name,explode" maxItems:"1000" doc:"Only these secrets."`
		}) (api.SecretsDoc, error) {
			return o.Secrets(ctx, in.Name)
		})
	read(a, huma.Operation{OperationID: "plan", Path: "/v1/plan", Summary: "What will happen, when and why", Tags: []string{"secrets"}},
		func(ctx context.Context, o service.Operations, in *planInput) (api.PlanDoc, error) {
			return o.Plan(ctx, api.PlanRequest{Names: in.Name, Until: in.Until})
		})
	read(a, huma.Operation{OperationID: "list-versions", Path: "/v1/secrets/{name}/versions", Summary: "A secret's versions, without values", Tags: []string{"secrets"}},
		func(ctx context.Context, o service.Operations, in *secretInput) (api.VersionsDoc, error) {
			return o.Versions(ctx, in.Name)
		})
	read(a, huma.Operation{OperationID: "get-value", Path: "/v1/secrets/{name}/value", Summary: "A secret's value (the only response that contains one)", Tags: []string{"values"}},
		func(ctx context.Context, o service.Operations, in *getInput) (api.GetDoc, error) {
			return o.Get(ctx, api.GetRequest{Secret: in.Name, Field: in.Field, Label: rota.Label(in.Label), Version: in.Version, Instance: in.Instance})
		})
	read(a, huma.Operation{OperationID: "list-audit", Path: "/v1/audit", Summary: "The audit's newest entries, in order", Tags: []string{"audit"}},
		func(ctx context.Context, o service.Operations, in *auditInput) (api.HistoryDoc, error) {
			return o.History(ctx, api.HistoryRequest{Secret: in.Secret, After: in.After, Before: in.Before, Limit: in.Limit, Oldest: in.Oldest})
		})
	read(a, huma.Operation{OperationID: "verify-audit", Path: "/v1/audit/verification", Summary: "Recompute the chain of the audit", Tags: []string{"audit"}},
		func(ctx context.Context, o service.Operations, _ *struct{}) (api.VerifyDoc, error) {
			return o.Verify(ctx)
		})
}

// versionChange says that a secret has a different current version.
type versionChange struct {
	Secret    string    `json:"secret"`
	Version   string    `json:"version" doc:"The current version. Pass it as version in the next request."`
	ChangedAt time.Time `json:"changed_at"`
}

type changesInput struct {
	Name    string `path:"name" maxLength:"512" doc:"The secret's name, each / in it as %2F."`
	Version string `query:"version" doc:"The version the client has. Without it, the response is immediate."`
	Timeout int    `query:"timeout" minimum:"0" maximum:"300" default:"60" doc:"How many seconds to wait for a change. 304 if there was none."`
}

// watchRoute registers the long poll.
func (a *server) watchRoute() {
	op := huma.Operation{
		OperationID: "watch-secret", Method: http.MethodGet, Path: "/v1/secrets/{name}/changes", Tags: []string{"values"},
		Summary: "Wait until a secret's current version changes", Errors: []int{400, 401, 403, 404, 422, 429, 500},
		Responses: unchanged("The current version is still the one given, after timeout seconds."), Middlewares: huma.Middlewares{a.limitOpen},
	}
	huma.Register(a.huma, op, func(ctx context.Context, in *changesInput) (*output[versionChange], error) {
		// Before the first look, so that no change between the two is missed.
		wait := a.Feed.WatchChanges(in.Name)
		defer wait.Stop()
		end := time.NewTimer(time.Duration(in.Timeout) * time.Second)
		defer end.Stop()
		open := a.openRequest(ctx)
		defer open.stop()
		for {
			now, err := a.current(ctx, in.Name)
			if err != nil {
				return nil, a.failed(ctx, op, err)
			}
			if now.Version != in.Version || in.Version == "" {
				return &output[versionChange]{Body: now}, nil
			}
			for waiting := true; waiting; {
				select {
				case <-ctx.Done():
					return nil, ctx.Err()
				case <-end.C:
					return nil, notModified("")
				case <-a.Feed.Done():
					return nil, notModified("")
				case <-wait.Changed():
					waiting = false
				case <-open.tick.C:
				}
				switch err := open.check(); {
				case errors.Is(err, errRulesChanged): // look again, with the rules of now
					ctx, waiting = context.WithValue(ctx, callerKey{}, open.caller), false
				case err != nil:
					return nil, a.failed(ctx, op, err)
				}
			}
		}
	})
}

func (a *server) current(ctx context.Context, name string) (versionChange, error) {
	o, done, err := a.Open(ctx, caller(ctx))
	if err != nil {
		return versionChange{}, err
	}
	defer done()
	doc, err := o.Current(ctx, name)
	return versionChange{Secret: name, Version: doc.Version, ChangedAt: doc.ChangedAt}, err
}
