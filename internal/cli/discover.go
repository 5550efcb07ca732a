package cli

import (
	"context"
	"encoding/csv"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/internal/proposal"
	"github.com/rota-dev/rota/provider"
)

// discoverCommand has a subcommand for each kind of connection over which
// credentials can be listed.
func (a *app) discoverCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "discover", Short: "List the credentials in a system", Args: oneOfThese("nothing to discover in"), Annotations: inPlace(placeNowhere),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	for _, p := range a.catalog.Providers() {
		for _, k := range p.Connections {
			if k.Discovery != nil {
				c.AddCommand(a.discoverIn(k.Key, k.Discovery()))
			}
		}
	}
	return c
}

// discoverOptions are the flags that every rota discover has.
type discoverOptions struct {
	connections   []string
	write, output string
}

// discoverIn is rota discover KEY.
func (a *app) discoverIn(key string, d provider.Discovery) *cobra.Command {
	var o discoverOptions
	c := &cobra.Command{
		Use: key, Short: d.Summary, Long: d.Help, Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.discover(c.Context(), key, d, o) },
	}
	f := c.Flags()
	f.StringSliceVar(&o.connections, "connection", nil, "only these "+key+" `connections` of rota.yaml")
	f.StringVar(&o.write, "write", "", "write a proposed rota.yaml to a new `file`, or - for standard output")
	f.StringVarP(&o.output, "output", "o", "table", "output format: table, json or csv")
	addOptions(f, d.Options)
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json", "csv"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (a *app) discover(ctx context.Context, key string, d provider.Discovery, o discoverOptions) error {
	if !slices.Contains([]string{"table", "json", "csv"}, o.output) {
		return rota.WithRemedies(usage("--output %s: no such output", o.output), rota.Command("--output table", "--output json", "--output csv"))
	}
	if o.output == "json" {
		a.output = o.output // errors too
	}
	elsewhere := d.Elsewhere != nil && d.Elsewhere()
	if elsewhere && len(o.connections) > 0 {
		return usage("--connection can't be combined with flags that say where to look instead of rota.yaml")
	}
	if d.Validate != nil {
		if err := d.Validate(); err != nil {
			return refused(err)
		}
	}
	if o.write != "" && o.write != "-" {
		if _, err := os.Lstat(o.write); err == nil {
			return neverOverwritten(o.write)
		}
	}
	r := provider.DiscoveryRequest{Now: a.Now()}
	if !elsewhere {
		var err error
		if r.File, err = a.discoveryFile(ctx, key, o); err != nil {
			return err
		}
	}
	found, err := d.Discover(ctx, r)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return refused(err)
	}
	for _, problem := range found.Problems {
		a.noteError(problem)
	}
	if o.write != "-" {
		err = a.printDiscovered(found, o)
	}
	if o.write != "" {
		err = errors.Join(err, a.propose(key, found.Proposal, o))
	}
	if err != nil {
		return err
	}
	if len(found.Problems) > 0 {
		return silently(exitFailed)
	}
	return nil
}

// discoveryFile is what rota.yaml says; nil if there is none and nothing asks
// for it.
func (a *app) discoveryFile(ctx context.Context, key string, o discoverOptions) (*provider.DiscoveryFile, error) {
	file, err := a.load(ctx)
	switch {
	case errors.Is(err, os.ErrNotExist) && a.configFlag == "" && len(o.connections) == 0:
		return nil, nil
	case err != nil:
		return nil, refused(err)
	}
	env := config.Environment{LookupEnv: a.lookupEnv}
	opened, failed := file.Connections(ctx, env, key, o.connections)
	all := file.ConnectionNames(key)
	if err := known(key+" connection", o.connections, all); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, usage("%s has no connection of kind %s", file.Path, key)
	}
	return &provider.DiscoveryFile{
		Path: file.Path, Connections: opened, Failed: failed, Secrets: file.Names(), Written: file.Written,
		Pieces: func() []provider.Piece {
			pieces, _ := file.Pieces(ctx, env, key, nil) // validate and check report what can't be made
			return pieces
		},
	}, nil
}

// printDiscovered prints what was found.
func (a *app) printDiscovered(found provider.Discovered, o discoverOptions) error {
	switch o.output {
	case "json":
		return a.document(found.Document)
	case "csv":
		return a.printCSV(found.CSV)
	}
	var rows [][]cell
	for _, words := range found.Rows {
		row := make([]cell, len(words))
		for i, w := range words {
			row[i] = cell{w.Text, markColors[w.Mark]}
		}
		rows = append(rows, row)
	}
	if len(rows) > 0 {
		a.table(found.Header, rows)
		a.printf("")
	}
	for _, w := range found.Summary {
		a.printf("%s", a.paint(a.outStyle, markColors[w.Mark], hint.Add(w.Text, w.Remedies)))
	}
	return nil
}

var markColors = map[provider.Mark]color{provider.MarkStrong: bold, provider.MarkAlarm: red}

func (a *app) printCSV(rows [][]string) error {
	w := csv.NewWriter(a.Stdout)
	for _, row := range rows {
		for i := range row {
			row[i] = harmless(row[i])
		}
	}
	return w.WriteAll(rows)
}

// harmless keeps spreadsheets from treating text as a formula: a user may be
// called =cmd.
func harmless(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r\n", rune(text[0])) {
		return "'" + text
	}
	return text
}

func neverOverwritten(path string) error {
	return rota.WithRemedies(usage("%s already exists and is never overwritten", path), rota.Outside("give another name, and copy what you want"))
}

// propose writes a rota.yaml for what nothing manages.
func (a *app) propose(key string, p provider.Proposal, o discoverOptions) error {
	if len(p.Secrets) == 0 {
		a.note("rota: nothing to propose: rota.yaml manages everything that was found")
		return nil
	}
	text, err := proposal.YAML(a.catalog, key, p)
	if err != nil {
		return err
	}
	if p.LeftOut != nil {
		a.noteError(p.LeftOut)
	}
	if o.write == "-" {
		_, err := a.Stdout.Write(text)
		return err
	}
	err = writeNew(o.write, text)
	if errors.Is(err, fs.ErrExist) {
		return neverOverwritten(o.write)
	}
	if err != nil {
		return refused(err)
	}
	a.note("wrote %s, with %s. Next: review it, then run rota validate and rota check -c %s", o.write, plural(len(p.Secrets), "secret"), o.write)
	return nil
}
