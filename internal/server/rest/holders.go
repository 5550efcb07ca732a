package rest

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/service"
)

// reportPath takes the reports of instances.
const reportPath = "/v1/holders"

// holderRoutes registers what instances report, and what's made of it.
func (a *server) holderRoutes() {
	write(a, huma.Operation{OperationID: "report-holder", Path: reportPath, Summary: "Report which versions an instance holds", Tags: []string{"holders"}},
		func(ctx context.Context, o service.Operations, in *struct{ Body api.ReportRequest }) (api.ReportDoc, error) {
			return o.Report(ctx, in.Body)
		})
	read(a, huma.Operation{OperationID: "list-holders", Path: "/v1/secrets/{name}/holders", Summary: "Who holds which version of a secret", Tags: []string{"holders"}},
		func(ctx context.Context, o service.Operations, in *secretInput) (api.HoldersDoc, error) {
			return o.Holders(ctx, in.Name)
		})
	write(a, huma.Operation{OperationID: "forget-holders", Path: "/v1/secrets/{name}/forget", Summary: "Drop what instances reported that are gone for good", Tags: []string{"holders"}},
		func(ctx context.Context, o service.Operations, in *struct {
			Name     string `path:"name" maxLength:"512" doc:"The secret's name, each / in it as %2F."`
			Instance string `query:"instance" maxLength:"200" doc:"Only this instance. Defaults to all."`
			Body     *struct {
				Reason string `json:"reason,omitempty" maxLength:"500" doc:"The reason, for people."`
			} `required:"false"`
		}) (api.ForgetDoc, error) {
			r := api.ForgetRequest{Secret: in.Name, Instance: in.Instance}
			if in.Body != nil {
				r.Reason = in.Body.Reason
			}
			return o.Forget(ctx, r)
		})
}
