package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/rota-dev/rota/api"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/service"
)

func (a *app) getCommand() *cobra.Command {
	var r api.GetRequest
	var s selection
	c := &cobra.Command{
		Use:   "get NAME",
		Short: "Show a credential (the only command that does)",
		Long: `Shows the current credential, or another version. This is the only command that
shows values. The read is audited before anything is shown. Without --field, all
fields are shown as a JSON object. With --field, the value ends with a newline
only on a terminal.`,
		RunE: func(c *cobra.Command, _ []string) error {
			if r.Version != "" && c.Flags().Changed("version-label") {
				return rota.WithRemedies(usage("--version and --version-label both name a version"), rota.Outside("give only one of them"))
			}
			return a.get(c.Context(), s, r)
		},
	}
	a.selects(c, &s, true)
	c.Flags().StringVar(&r.Field, "field", "", "show only this `field`, such as password")
	c.Flags().StringVar((*string)(&r.Label), "version-label", string(rota.LabelCurrent), "the version with this `label`")
	c.Flags().StringVar(&r.Version, "version", "", "the version with this `id`")
	return c
}

func (a *app) get(ctx context.Context, s selection, r api.GetRequest) (err error) {
	return a.withOperations(ctx, toWork, func(o service.Operations) error {
		if r.Secret, err = s.resolveOne(ctx, o); err != nil {
			return err
		}
		doc, err := o.Get(ctx, r)
		if err != nil {
			return err
		}
		return a.show(doc, r.Field)
	})
}

// show prints values. Nothing else in this program does.
func (a *app) show(doc api.GetDoc, field string) error {
	switch {
	case a.json():
		return a.document(doc)
	case field != "":
		end := ""
		if a.outStyle.terminal {
			end = "\n"
		}
		_, err := fmt.Fprint(a.Stdout, doc.Fields[field], end)
		return err
	}
	e := json.NewEncoder(a.Stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(doc.Fields)
}
