package cli

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/providers"
)

// codeSpan is a piece of code in a line of Markdown.
var codeSpan = regexp.MustCompile("`([^`]+)`")

// rowsOf are the lines of a document in which a piece of code begins with the
// command, as it is called after "rota".
func rowsOf(document, command string) []string {
	var rows []string
	for line := range strings.Lines(document) {
		for _, code := range codeSpan.FindAllStringSubmatch(line, -1) {
			if code[1] == command || strings.HasPrefix(code[1], command+" ") {
				rows = append(rows, line)
				break
			}
		}
	}
	return rows
}

// Every command stands in docs/cli.md, with each of its flags in the same row,
// and so do the flags that all share and the variables that stand for them.
func TestEveryCommandAndFlagIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	document := string(text)
	named := func(rows []string, flag string) bool {
		whole := regexp.MustCompile(`--` + regexp.QuoteMeta(flag) + `([^a-z-]|$)`)
		return slices.ContainsFunc(rows, whole.MatchString)
	}
	a := newApp(Program{})
	a.catalog = config.MustCatalog(providers.List()...)
	root := a.rootCommand()
	root.PersistentFlags().VisitAll(func(f *pflag.Flag) {
		if !named([]string{document}, f.Name) {
			t.Errorf("docs/cli.md: --%s is not there", f.Name)
		}
		for _, variable := range regexp.MustCompile(`\$([A-Z_]+)`).FindAllStringSubmatch(f.Usage, -1) {
			if !strings.Contains(document, "`"+variable[1]+"`") {
				t.Errorf("docs/cli.md: %s, which --%s tells of, is not there", variable[1], f.Name)
			}
		}
	})
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			visit(sub)
		}
		name := strings.TrimPrefix(c.CommandPath(), "rota ")
		if c == root || c.Hidden || c.IsAdditionalHelpTopicCommand() {
			return
		}
		rows := rowsOf(document, name)
		if len(rows) == 0 {
			t.Errorf("docs/cli.md: rota %s is not there", name)
			return
		}
		selects := c.Flags().Lookup("owner") != nil && c.Flags().Lookup("state") != nil
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			where := rows
			if selects && (f.Name == "owner" || f.Name == "state") {
				where = []string{document} // they're explained once, for all commands
			}
			if !named(where, f.Name) {
				t.Errorf("docs/cli.md: rota %s: --%s is not there", name, f.Name)
			}
		})
	}
	visit(root)
}
