package cli

import (
	"context"
	"strings"

	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/hint"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/service"
)

func (a *app) versionsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "versions NAME",
		Short: "List the versions of a secret, without values",
		Long: `Asks the store and the issuer, and lists a secret's versions with their labels,
dates, credentials and states, along with any other credentials at the issuer.
Shows no values.`,
		Args:              argCount(1, 1),
		ValidArgsFunction: a.completeNames,
		RunE:              func(c *cobra.Command, args []string) error { return a.versions(c.Context(), args[0]) },
	}
}

func (a *app) versions(ctx context.Context, name string) error {
	return a.withOperations(ctx, toWork, func(o service.Operations) error {
		doc, err := o.Versions(ctx, name)
		if err != nil {
			return err
		}
		if a.json() {
			return a.document(doc)
		}
		a.printVersions(doc)
		return nil
	})
}

func (a *app) printVersions(doc api.VersionsDoc) {
	now := a.Now()
	var rows [][]cell
	for _, v := range doc.Versions {
		whose := "rota"
		switch {
		case v.Adopted:
			whose = "somebody else (adopted)"
		case !v.Ours:
			whose = "somebody else"
		}
		rows = append(rows, cells(v.Version, labelList(v.Labels), when(v.CreatedAt, now), v.Credential, v.State, v.Use, whose))
	}
	for _, i := range doc.Elsewhere {
		rows = append(rows, cells("(none)", "", when(i.CreatedAt, now), i.Credential, i.State, i.Use, "somebody else"))
	}
	if len(rows) == 0 {
		a.printf("%s", hint.Add(doc.Secret+" has no versions yet", doc.Remedies))
		return
	}
	a.table([]string{"VERSION", "LABELS", "CREATED", "CREDENTIAL", "STATE", "USE", "MADE BY"}, rows)
}

func labelList(labels []rota.Label) string {
	texts := make([]string, len(labels))
	for i, l := range labels {
		texts[i] = string(l)
	}
	return strings.Join(texts, " ")
}
