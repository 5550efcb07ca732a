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
	var s selection
	c := &cobra.Command{
		Use:   "versions NAME...",
		Short: "List the versions of a secret, without values",
		Long: `Asks the store and the issuer, and lists a secret's versions with their labels,
dates, credentials and states, along with any other credentials at the issuer.
Shows no values.`,
		RunE: func(c *cobra.Command, _ []string) error { return a.versions(c.Context(), s) },
	}
	a.selects(c, &s, true)
	return c
}

// versions lists each selected secret's versions. A single name gets a document
// of its own, and any other selection one with all of them.
func (a *app) versions(ctx context.Context, s selection) error {
	return a.withOperations(ctx, toWork, func(o service.Operations) error {
		names, err := s.resolve(ctx, o)
		if err != nil {
			return err
		}
		if s.named() && len(names) == 1 {
			doc, err := o.Versions(ctx, names[0])
			switch {
			case err != nil:
				return err
			case a.json():
				return a.document(doc)
			}
			a.printVersions(doc)
			return nil
		}
		return a.versionsOfEach(ctx, o, names)
	})
}

// versionsOfEach goes on after a failure, and fails in the end.
func (a *app) versionsOfEach(ctx context.Context, o service.Operations, names []string) error {
	all := versionsDoc{Secrets: []api.VersionsDoc{}, Errors: []api.AlertFailure{}}
	code := exitDone
	for i, name := range names {
		doc, err := o.Versions(ctx, name)
		if err != nil {
			code = exitFailed
			failure := api.AlertFailure{Secret: name}
			failure.Error, _, failure.Remedies = service.DescribeIn(err)
			all.Errors = append(all.Errors, failure)
		} else {
			all.Secrets = append(all.Secrets, doc)
		}
		if a.json() {
			continue
		}
		if i > 0 {
			a.printf("")
		}
		a.printf("%s", a.paint(a.outStyle, bold, name))
		if err != nil {
			a.printf("%s %s", a.paint(a.outStyle, red, "failed:"), rota.OneLine(all.Errors[len(all.Errors)-1].Error))
			a.tryLine("  ", rota.RemediesOf(err))
			continue
		}
		a.printVersions(doc)
	}
	if a.json() {
		if err := a.document(all); err != nil {
			return err
		}
	}
	return silently(code)
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
