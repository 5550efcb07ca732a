package rest

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/rota-dev/rota/api"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/service"
	"github.com/rota-dev/rota/rotation"
)

type rulesBody struct {
	Rules []string `json:"rules" maxItems:"1000" doc:"Such as read:shop/*."`
}

// accessRoutes registers the management of principals and keys. A principal's name
// is one segment of the path, like a secret's.
func (a *server) accessRoutes() {
	type principal struct {
		Name string `path:"name" maxLength:"128" doc:"The principal's name, each / in it as %2F."`
	}
	type key struct {
		ID string `path:"id" maxLength:"64" doc:"The key's id."`
	}
	administer(a, http.MethodGet, "list-principals", "/v1/access/principals", "All principals with their keys",
		func(ctx context.Context, c access.Caller, _ *struct{}) (api.PrincipalsDoc, error) {
			list, err := a.Access.Principals(ctx, c)
			return api.PrincipalsDoc{Principals: service.PrincipalDocs(list)}, err
		})
	administer(a, http.MethodGet, "get-principal", "/v1/access/principals/{name}", "One principal with its keys",
		func(ctx context.Context, c access.Caller, in *principal) (api.Principal, error) {
			p, err := a.Access.Principal(ctx, c, in.Name)
			return service.PrincipalDoc(p), err
		})
	withRules := func(id, method, path, summary string, f func(ctx context.Context, c access.Caller, name string, rules ...access.Rule) error) {
		administer(a, method, id, path, summary, func(ctx context.Context, c access.Caller, in *struct {
			Name string `path:"name" maxLength:"128" doc:"The principal's name, each / in it as %2F."`
			Body rulesBody
		}) (api.Principal, error) {
			rules, err := parseRules(in.Body.Rules)
			if err != nil {
				return api.Principal{}, access.Invalid(err)
			}
			if err := f(ctx, c, in.Name, rules...); err != nil {
				return api.Principal{}, err
			}
			p, err := a.Access.Principal(ctx, c, in.Name)
			return service.PrincipalDoc(p), err
		})
	}
	withRules("create-principal", http.MethodPut, "/v1/access/principals/{name}", "Create a principal", a.Access.Create)
	withRules("grant", http.MethodPost, "/v1/access/principals/{name}/grant", "Add rules", a.Access.Grant)
	withRules("revoke", http.MethodPost, "/v1/access/principals/{name}/revoke", "Remove rules", a.Access.Revoke)
	for _, p := range []struct {
		id, method, path, summary string
		do                        func(ctx context.Context, c access.Caller, name string) error
	}{
		{"disable-principal", http.MethodPost, "/v1/access/principals/{name}/disable", "Disable a principal", a.Access.Disable},
		{"enable-principal", http.MethodPost, "/v1/access/principals/{name}/enable", "Enable a principal again", a.Access.Enable},
		{"delete-principal", http.MethodDelete, "/v1/access/principals/{name}", "Delete a principal and all of its keys", a.Access.Delete},
	} {
		administer(a, p.method, p.id, p.path, p.summary, func(ctx context.Context, c access.Caller, in *principal) (struct{}, error) {
			return struct{}{}, p.do(ctx, c, in.Name)
		})
	}
	administer(a, http.MethodPost, "create-key", "/v1/access/principals/{name}/keys", "Create a key",
		func(ctx context.Context, c access.Caller, in *struct {
			Name string `path:"name" maxLength:"128" doc:"The principal's name, each / in it as %2F."`
			Body *struct {
				ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"When the key expires; without it, never."`
			} `required:"false"`
		}) (api.KeyDoc, error) {
			var expires time.Time
			if in.Body != nil && in.Body.ExpiresAt != nil {
				expires = *in.Body.ExpiresAt
			}
			issued, err := a.Access.CreateKey(ctx, c, in.Name, expires)
			if err != nil {
				return api.KeyDoc{}, err
			}
			return service.KeyDoc(issued), nil
		})
	for _, k := range []struct {
		id, method, path, summary string
		do                        func(ctx context.Context, c access.Caller, id string) error
	}{
		{"disable-key", http.MethodPost, "/v1/access/keys/{id}/disable", "Disable a key", a.Access.DisableKey},
		{"enable-key", http.MethodPost, "/v1/access/keys/{id}/enable", "Enable a key again", a.Access.EnableKey},
		{"delete-key", http.MethodDelete, "/v1/access/keys/{id}", "Delete a key", a.Access.DeleteKey},
	} {
		administer(a, k.method, k.id, k.path, k.summary, func(ctx context.Context, c access.Caller, in *key) (struct{}, error) {
			return struct{}{}, k.do(ctx, c, in.ID)
		})
	}
}

// administer registers an operation for administrators; package access checks
// that the caller is one, before anything else in the request is looked at.
func administer[I, D any](a *server, method, id, path, summary string, f func(ctx context.Context, c access.Caller, in *I) (D, error)) {
	op := strings.ReplaceAll(id, "-", " ") // as in the audit
	if id == "get-principal" {
		op = rotation.OpShowPrincipal
	}
	authorize := func(ctx huma.Context, next func(huma.Context)) {
		err := a.Access.Authorize(ctx.Context(), caller(ctx.Context()), op, ctx.Param("name"))
		if err == nil {
			next(ctx)
			return
		}
		_, w := humago.Unwrap(ctx)
		writeProblem(w, a.problem(ctx.Context(), err))
	}
	huma.Register(a.huma, huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"access"}, Middlewares: huma.Middlewares{authorize},
		MaxBodyBytes: maxBody, Errors: []int{400, 401, 403, 404, 409, 422, 429, 500}, DefaultStatus: http.StatusOK,
	}, func(ctx context.Context, in *I) (*output[D], error) {
		doc, err := f(ctx, caller(ctx), in)
		if err != nil {
			return nil, a.problem(ctx, err)
		}
		return &output[D]{Body: doc}, nil
	})
}

func parseRules(texts []string) ([]access.Rule, error) {
	var rules []access.Rule
	for _, t := range texts {
		rule, err := access.ParseRule(t)
		if err != nil {
			return nil, err
		}
		rules = append(rules, rule)
	}
	return rules, nil
}
