package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rota"
)

func (a *app) getCommand() *cobra.Command {
	var field, label, version string
	c := &cobra.Command{
		Use:   "get NAME",
		Short: "Show a credential: the one command that does",
		Long: `Shows the current credential, or another version's: the one command that shows
values. Who asked is in the audit before anything is shown. Without --field all
fields are shown as a JSON object. The value of one field ends with a newline on
a terminal only.`,
		Args:              argCount(1, 1),
		ValidArgsFunction: a.completeNames,
		RunE: func(c *cobra.Command, args []string) error {
			if version != "" && c.Flags().Changed("version-label") {
				return usage("--version and --version-label both name a version (try: one of them)")
			}
			return a.get(c.Context(), args[0], field, rota.Label(label), version)
		},
	}
	c.Flags().StringVar(&field, "field", "", "show this `field` alone, such as password")
	c.Flags().StringVar(&label, "version-label", string(rota.Current), "the version with this `label`")
	c.Flags().StringVar(&version, "version", "", "the version of this `id`")
	return c
}

func (a *app) get(ctx context.Context, name, field string, label rota.Label, id string) error {
	s, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	secret, err := s.one(name)
	if err != nil {
		return err
	}
	version, err := findVersion(ctx, secret, label, id)
	if err != nil {
		return err
	}
	credential, err := secret.Store.Get(ctx, rota.GetRequest{Version: version.ID})
	if err != nil {
		return fmt.Errorf("%s: read version %s: %w", name, version.ID, err)
	}
	if field != "" && !slices.Contains(credential.Names(), field) {
		return usage("%s has no field %q (try: %s)", name, field, strings.Join(credential.Names(), ", "))
	}
	shown := field
	if shown == "" {
		shown = strings.Join(credential.Names(), ", ")
	}
	issuerName := secret.Issuer.CredentialID(credential)
	if err := s.db.Record(ctx, rota.Entry{
		At: a.Now(), Actor: a.actor(), Secret: name, Step: "get", Object: shown,
		Version: version.ID, Credential: issuerName, Outcome: rota.Succeeded,
	}); err != nil {
		return fmt.Errorf("%s: nothing is shown that is not in the audit: %w", name, err)
	}
	return a.show(getDoc{Secret: name, Version: version.ID, Labels: version.Labels, Credential: issuerName, Fields: credential.Fields()}, field)
}

func findVersion(ctx context.Context, secret *rota.Secret, label rota.Label, id string) (rota.Version, error) {
	contents, err := secret.Store.Describe(ctx)
	if err != nil {
		return rota.Version{}, fmt.Errorf("%s: %w", secret.Name, err)
	}
	if id != "" {
		if v, ok := rota.FindID(contents.Versions, id); ok {
			return v, nil
		}
		return rota.Version{}, fmt.Errorf("%s: no version %s: %w (try: rota versions %s)", secret.Name, id, rota.ErrNotFound, secret.Name)
	}
	if v, ok := rota.Find(contents.Versions, label); ok {
		return v, nil
	}
	return rota.Version{}, fmt.Errorf("%s: no version is %s: %w (try: rota versions %s)", secret.Name, label, rota.ErrNotFound, secret.Name)
}

// show prints values. Nothing else of this program does.
func (a *app) show(doc getDoc, field string) error {
	switch {
	case a.json() && field != "":
		doc.Fields = map[string]string{field: doc.Fields[field]}
		return a.document(doc)
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
