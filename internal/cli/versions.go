package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rota"
)

func (a *app) versionsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "versions NAME",
		Short: "The versions of a secret, without their values",
		Long: `Asks the store and the issuer, and shows the versions of a secret with their
labels, dates, credentials and states, and the credentials that the issuer has
beside them. No value is shown.`,
		Args:              argCount(1, 1),
		ValidArgsFunction: a.completeNames,
		RunE:              func(c *cobra.Command, args []string) error { return a.versions(c.Context(), args[0]) },
	}
}

func (a *app) versions(ctx context.Context, name string) error {
	s, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	secret, err := s.one(name)
	if err != nil {
		return err
	}
	state, _, err := s.rotator.Observe(ctx, secret)
	if err != nil {
		return err
	}
	doc := describeVersions(state)
	if a.json() {
		return a.document(doc)
	}
	a.printVersions(doc)
	return nil
}

func describeVersions(state rota.State) versionsDoc {
	doc := versionsDoc{Secret: state.Secret, ChangedAt: state.Contents.ChangedAt, Versions: []versionDoc{}, Elsewhere: []issuedDoc{}}
	held := map[string]bool{}
	for _, v := range state.Contents.Versions {
		held[v.CredentialID] = true
		d := versionDoc{Version: v.ID, Labels: v.Labels, CreatedAt: v.CreatedAt, Credential: v.CredentialID, Ours: v.Ours()}
		d.State, d.Use = issuerState(state, v.CredentialID)
		doc.Versions = append(doc.Versions, d)
	}
	slices.SortStableFunc(doc.Versions, func(x, y versionDoc) int { return y.CreatedAt.Compare(x.CreatedAt) })
	for _, i := range state.Issued {
		if held[i.ID] {
			continue
		}
		d := issuedDoc{Credential: i.ID, CreatedAt: i.CreatedAt}
		d.State, d.Use = issuerState(state, i.ID)
		doc.Elsewhere = append(doc.Elsewhere, d)
	}
	return doc
}

// issuerState is what the issuer says of a credential.
func issuerState(state rota.State, credential string) (string, string) {
	if !state.Listed || credential == "" {
		return "unknown", ""
	}
	i := slices.IndexFunc(state.Issued, func(i rota.Issued) bool { return i.ID == credential })
	if i < 0 {
		return "gone", ""
	}
	issued := state.Issued[i]
	s := "inactive"
	if issued.Active {
		s = "active"
	}
	use := ""
	switch {
	case !issued.Use.At.IsZero():
		use = "last used " + at(issued.Use.At)
		if issued.Use.Detail != "" {
			use += " from " + issued.Use.Detail
		}
	case issued.Use.Evidence == rota.Recorded:
		use = "never used"
	}
	return s, use
}

func (a *app) printVersions(doc versionsDoc) {
	now := a.Now()
	var rows [][]cell
	for _, v := range doc.Versions {
		labels := make([]string, len(v.Labels))
		for i, l := range v.Labels {
			labels[i] = string(l)
		}
		whose := "rota"
		if !v.Ours {
			whose = "somebody else"
		}
		rows = append(rows, cells(v.Version, strings.Join(labels, " "), when(v.CreatedAt, now), v.Credential, v.State, v.Use, whose))
	}
	for _, i := range doc.Elsewhere {
		rows = append(rows, cells("(none)", "", when(i.CreatedAt, now), i.Credential, i.State, i.Use, "somebody else"))
	}
	if len(rows) == 0 {
		a.printf("%s has no version yet (try: rota rotate %s, or rota adopt %s)", doc.Secret, doc.Secret, doc.Secret)
		return
	}
	a.table([]string{"VERSION", "LABELS", "CREATED", "CREDENTIAL", "STATE", "USE", "MADE BY"}, rows)
}
