package cli

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/provider"
)

func (a *app) providersCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "providers [NAME]",
		Short: "List the systems Rota works with, and what it can do there",
		Long: `Lists the systems this rota works with, the roles each one can play, and its keys
in rota.yaml. For issuers it says whether the previous credential stays valid
beside the new one (overlap), what the issuer can say about a credential's use,
and what a rollback does.

With NAME, it shows a provider's keys in rota.yaml with their types and defaults,
an example, and the permissions that the example needs. A text can hold references such as
${env:NAME}; a plain text can't.`,
		Args: argCount(0, 1), Annotations: inPlace(placeNowhere),
		ValidArgsFunction: a.completeProviders,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.providers()
			}
			return a.provider(c.Context(), args[0])
		},
	}
}

func (a *app) completeProviders(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, p := range a.catalog.Describe() {
		if len(args) == 0 {
			names = append(names, p.Name+"\t"+p.System)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// providersDoc is all providers.
type providersDoc struct {
	Providers []config.ProviderDescription `json:"providers"`
}

func (a *app) providers() error {
	all := a.catalog.Describe()
	if a.json() {
		return a.document(providersDoc{Providers: all})
	}
	var rows [][]cell
	for _, p := range all {
		for _, k := range p.Kinds {
			row := []string{p.Name, p.System, k.Role, k.Key, "", "", ""}
			if i := k.Issuer; i != nil && !i.Manual {
				row[4], row[5], row[6] = yesOrNo(i.Overlap), i.Evidence, i.Undo
			}
			rows = append(rows, cells(row...))
		}
	}
	a.table([]string{"PROVIDER", "SYSTEM", "ROLE", "KEY", "OVERLAP", "EVIDENCE OF USE", "UNDO"}, rows)
	return nil
}

// provider shows one provider.
func (a *app) provider(ctx context.Context, name string) error {
	var names []string
	for _, p := range a.catalog.Describe() {
		if p.Name == name {
			grants, err := a.exampleGrants(ctx, p)
			if err != nil { // such as a profile in the environment that doesn't exist
				a.noteError(fmt.Errorf("the example's permissions are unknown: %w", err))
			}
			if a.json() {
				return a.document(providerDoc{ProviderDescription: p, Permissions: permissionDocs(grants)})
			}
			a.printProvider(p, grants)
			return nil
		}
		names = append(names, p.Name)
	}
	remedies := rota.Outside("use one of " + strings.Join(names, ", "))
	if near := access.Nearest(name, names); near != "" {
		remedies = rota.Correct(near)
	}
	return rota.WithRemedies(usage("no provider %s", name), remedies)
}

func (a *app) printProvider(p config.ProviderDescription, grants []provider.Grant) {
	a.printf("%s", a.paint(a.outStyle, bold, p.System+" ("+p.Name+")"))
	for _, k := range p.Kinds {
		a.printf("")
		a.printf("%s %s", a.paint(a.outStyle, bold, k.Role+" "+k.Key+":"), k.Summary)
		if k.Issuer != nil {
			a.printf("  %s", behavior(*k.Issuer))
		}
		var rows [][]cell
		for _, key := range k.Keys {
			rows = append(rows, keyRow(k, key))
		}
		a.table([]string{"  KEY", "TYPE", "DEFAULT", "REQUIRED", "DESCRIPTION"}, rows)
	}
	if p.Example == "" {
		return
	}
	a.printf("")
	a.printf("%s", a.paint(a.outStyle, bold, "example:"))
	for line := range strings.Lines(p.Example) {
		a.printf("  %s", strings.TrimRight(line, "\n"))
	}
	for _, g := range grants {
		a.printf("")
		a.printf("%s", a.paint(a.outStyle, bold, "permissions of the example, for "+g.Title+":"))
		rows := grantRows(g)
		for _, row := range rows {
			row[0].text = "  " + row[0].text
		}
		a.table([]string{"  ACTION", "RESOURCE", "WHY"}, rows)
	}
}

// providerDoc is one provider.
type providerDoc struct {
	config.ProviderDescription
	Permissions []permissionDoc `json:"permissions"` // that the example needs
}

type permissionDoc struct {
	Action   string `json:"action"`
	Resource string `json:"resource,omitempty"`
	Why      string `json:"why"`
	For      string `json:"for,omitempty"` // create, check or option; missing for every rotation
}

func permissionDocs(grants []provider.Grant) []permissionDoc {
	docs := []permissionDoc{}
	for _, g := range grants {
		for _, p := range g.Permissions {
			docs = append(docs, permissionDoc{Action: p.Action, Resource: p.Resource, Why: p.Why, For: string(p.For)})
		}
	}
	return docs
}

// exampleGrants are what a provider's example needs to be allowed, for those of
// its connections whose system can express that. Nothing is looked up outside,
// and each reference in the example stands for some value.
func (a *app) exampleGrants(ctx context.Context, p config.ProviderDescription) ([]provider.Grant, error) {
	at := slices.IndexFunc(a.Providers, func(q provider.Provider) bool { return q.Name == p.Name })
	var grants []provider.Grant
	for _, k := range a.Providers[at].Connections {
		if k.Policy == nil || p.Example == "" {
			continue
		}
		policy := k.Policy()
		for _, o := range policy.Options {
			if value, ok := o.Value.(*string); ok && o.Example != "" {
				*value = o.Example
			}
		}
		file, err := a.catalog.Parse("the example", []byte(p.Example))
		if err != nil {
			return nil, err
		}
		pieces, err := file.Pieces(ctx, config.Environment{
			LookupEnv: func(string) (string, bool) { return "example", true },
			ReadFile:  func(string) ([]byte, fs.FileMode, error) { return []byte("example"), 0o600, nil },
		}, k.Key, nil)
		if err != nil {
			return nil, err
		}
		more, err := grantsOf(ctx, policy, provider.PolicyRequest{Connections: connectionsOf(pieces), Pieces: pieces, Note: func(error) {}})
		if err != nil {
			return nil, err
		}
		grants = append(grants, more...)
	}
	return grants, nil
}

// behavior is an issuer's in one line.
func behavior(i config.IssuerDescription) string {
	if i.Manual {
		return "a person rotates it; depends on rota.yaml: " + i.Varies
	}
	parts := []string{"overlap: " + yesOrNo(i.Overlap)}
	if i.Limit > 1 {
		parts[0] += fmt.Sprintf(", at most %d at once", i.Limit)
	}
	if i.Lifetime != "" {
		parts = append(parts, "expires after: "+i.Lifetime)
	}
	parts = append(parts, "evidence of use: "+i.Evidence, "undo: "+i.Undo)
	if len(i.Fields) > 0 {
		parts = append(parts, "fields: "+strings.Join(i.Fields, ", "))
	}
	if i.Varies != "" {
		parts = append(parts, "depends on rota.yaml: "+i.Varies)
	}
	return strings.Join(parts, "; ")
}

// keyRow is one key of a kind's part of rota.yaml.
func keyRow(k config.KindDescription, key config.KeyDescription) []cell {
	name := key.Key
	if name == "" {
		name = k.Key // the kind is a single value
	}
	about := key.Description
	if len(key.Values) > 0 {
		about += " One of: " + strings.Join(key.Values, ", ") + "."
	}
	required := ""
	if key.Required {
		required = "yes"
	}
	return cells("  "+name, key.Type, key.Default, required, about)
}

func yesOrNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}
