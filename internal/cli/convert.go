package cli

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/provider"
)

// convertCommand has a subcommand for each conversion that a provider offers.
func (a *app) convertCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "convert", Short: "Rewrite files of other tools", Args: oneOfThese("nothing converts"), Annotations: inPlace(placeNowhere),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	for _, p := range a.catalog.Providers() {
		for _, made := range p.Conversions {
			c.AddCommand(a.convertBy(made()))
		}
	}
	return c
}

// convertDoc is rota convert -o json.
type convertDoc struct {
	Text     string   `json:"text"`
	Warnings []string `json:"warnings,omitempty"`
}

// convertBy is rota convert NAME.
func (a *app) convertBy(v provider.Conversion) *cobra.Command {
	c := &cobra.Command{
		Use: v.Name + " FILE…", Short: v.Summary, Long: v.Help, Args: argCount(1, -1),
		RunE: func(_ *cobra.Command, paths []string) error { return a.convert(v, paths) },
	}
	addOptions(c.Flags(), v.Options)
	return c
}

// convert prints what could be converted. What couldn't is an error, but a file that
// can't be read stops the others, too: its name may be misspelled.
func (a *app) convert(v provider.Conversion, paths []string) error {
	if v.Validate != nil {
		if err := v.Validate(); err != nil {
			return refused(err)
		}
	}
	var files []provider.ConversionFile
	for _, path := range paths {
		text, err := a.readFile(path)
		if err != nil {
			return refused(err)
		}
		files = append(files, provider.ConversionFile{Path: path, Text: text})
	}
	text, warnings, failed := v.Convert(files)
	if len(text) == 0 && failed != nil {
		return refused(failed)
	}
	if a.json() {
		doc := convertDoc{Text: string(text)}
		for _, w := range warnings {
			doc.Warnings = append(doc.Warnings, hint.Text(w))
		}
		if err := a.document(doc); err != nil {
			return err
		}
		return refused(failed)
	}
	for _, w := range warnings {
		a.note("%s %s", a.paint(a.errStyle, yellow, "warning:"), painted(hint.TextBy(w, escape)))
	}
	if _, err := a.Stdout.Write(text); err != nil {
		return err
	}
	return refused(failed)
}

// readFile reads a file, or standard input if its path is "-".
func (a *app) readFile(path string) ([]byte, error) {
	if path != "-" {
		return os.ReadFile(path)
	}
	text, err := io.ReadAll(a.Stdin)
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	return text, nil
}
