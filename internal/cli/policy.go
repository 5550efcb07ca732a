package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/provider"
)

// policyCommand has a subcommand for each kind of connection whose system can
// express permissions.
func (a *app) policyCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "policy", Short: "Print the permissions Rota needs in a system", Args: oneOfThese("no policy for"), Annotations: inPlace(placeNowhere),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	for _, p := range a.catalog.Providers() {
		for _, k := range p.Connections {
			if k.Policy != nil {
				c.AddCommand(a.policyOf(k.Key, k.Policy()))
			}
		}
	}
	return c
}

// oneOfThese rejects an argument that's none of the subcommands, which are named
// after kinds of connection, and lists them.
func oneOfThese(none string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		var these []string
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				these = append(these, sub.CommandPath())
			}
		}
		return rota.WithRemedies(usage("%s %q", none, args[0]), rota.Command(these...))
	}
}

// policyOptions are the flags that every rota policy has.
type policyOptions struct {
	connections, secrets []string
	noCreate, noCheck    bool
	output               string
}

// policyOf is rota policy KEY.
func (a *app) policyOf(key string, p provider.Policy) *cobra.Command {
	var o policyOptions
	c := &cobra.Command{
		Use: key, Short: p.Summary, Long: p.Help, Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.policy(c.Context(), key, p, o) },
	}
	f := c.Flags()
	f.StringSliceVar(&o.connections, "connection", nil, "only what these "+key+" `connections` need")
	f.StringSliceVar(&o.secrets, "secret", nil, "only what these `secrets` need; patterns work too")
	f.BoolVar(&o.noCreate, "no-create", false, "leave out what's only needed to create a secret that doesn't exist yet")
	f.BoolVar(&o.noCheck, "no-check", false, "leave out what only rota check needs")
	f.StringVarP(&o.output, "output", "o", p.Format, "output format: "+p.Format+", or text with the reasons")
	addOptions(f, p.Options)
	_ = c.RegisterFlagCompletionFunc("secret", a.completeNames)
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{p.Format, "text"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (a *app) policy(ctx context.Context, key string, p provider.Policy, o policyOptions) error {
	if o.output != p.Format && o.output != "text" {
		return rota.WithRemedies(usage("--output %s: no such output", o.output), rota.Command("--output "+p.Format, "--output text"))
	}
	if p.Validate != nil {
		if err := p.Validate(); err != nil {
			return refused(err)
		}
	}
	file, err := a.loadConfig(ctx)
	if err != nil {
		return err
	}
	if err := (selection{names: o.secrets}).validate(); err != nil {
		return err
	}
	if len(o.secrets) > 0 {
		if o.secrets, err = matching(o.secrets, file.Names()); err != nil {
			return err
		}
	}
	pieces, err := file.Pieces(ctx, config.Environment{LookupEnv: a.lookupEnv}, key, o.secrets)
	if err != nil {
		return refused(err)
	}
	r := provider.PolicyRequest{Connections: connectionsOf(pieces), Pieces: pieces, Note: a.noteError}
	if err := known(key+" connection", o.connections, r.Connections); err != nil {
		return err
	}
	if len(o.connections) > 0 {
		r.Connections = slices.DeleteFunc(r.Connections, func(n string) bool { return !slices.Contains(o.connections, n) })
	}
	if len(r.Connections) == 0 {
		return rota.WithRemedies(usage("nothing in %s uses a connection of kind %s", a.configPath(), key), rota.Command("rota validate"))
	}
	grants, err := grantsOf(ctx, p, r)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return refused(err)
	}
	for i := range grants {
		grants[i].Permissions = slices.DeleteFunc(grants[i].Permissions, func(n provider.Permission) bool {
			return o.noCreate && n.For == provider.OccasionCreate || o.noCheck && n.For == provider.OccasionCheck
		})
	}
	if o.output == "text" {
		a.printGrants(grants)
		return nil
	}
	document, err := p.Document(grants, r.Note)
	if err != nil {
		return refused(err)
	}
	_, err = a.Stdout.Write(document)
	return err
}

func grantsOf(ctx context.Context, p provider.Policy, r provider.PolicyRequest) ([]provider.Grant, error) {
	if p.Grants == nil {
		return provider.Grants(ctx, r)
	}
	return p.Grants(ctx, r)
}

// connectionsOf are the connections that the pieces work over, sorted.
func connectionsOf(pieces []provider.Piece) []string {
	var names []string
	for _, p := range pieces {
		names = append(names, p.Connections...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// noteError says something on stderr that isn't the command's own error.
func (a *app) noteError(err error) {
	if a.json() {
		a.note("rota: %s", hint.Text(err))
		return
	}
	a.note("rota: %s", painted(hint.TextBy(err, escape)))
}

// known rejects a name that doesn't exist.
func known(what string, given, all []string) error {
	for _, name := range given {
		if slices.Contains(all, name) {
			continue
		}
		remedies := rota.Outside("use one of " + strings.Join(all, ", "))
		if near := access.Nearest(name, all); near != "" {
			remedies = rota.Correct(near)
		}
		return rota.WithRemedies(usage("no %s %s in rota.yaml", what, name), remedies)
	}
	return nil
}

// printGrants says why each permission is needed.
func (a *app) printGrants(grants []provider.Grant) {
	for i, g := range grants {
		if i > 0 {
			a.printf("")
		}
		a.printf("%s", a.paint(a.outStyle, bold, "for "+g.Title))
		a.table([]string{"ACTION", "RESOURCE", "WHY"}, grantRows(g))
	}
}

// grantRows are a grant's permissions, each once.
func grantRows(g provider.Grant) [][]cell {
	var rows [][]cell
	seen := map[string]bool{}
	for _, p := range g.Permissions {
		why := p.Why
		switch p.For {
		case provider.OccasionCreate:
			why += " (first rotation)"
		case provider.OccasionCheck:
			why += " (rota check only)"
		case provider.OccasionOption:
			why += " (optional)"
		}
		if p.Holder != "" {
			why += " (" + p.Holder + " needs it, not Rota: it isn't in any policy here)"
		}
		if p.Only != "" {
			why += "; only where " + p.Only
		}
		row := []string{p.Action, p.Resource, why}
		if key := strings.Join(row, "\x00"); !seen[key] {
			seen[key] = true
			rows = append(rows, cells(row...))
		}
	}
	return rows
}
