package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rota/config"
)

// pick gives the named secrets in the file's order, each once; all where none
// is named.
func pick(file *config.File, names []string) ([]string, error) {
	all := file.Names()
	for _, name := range names {
		if slices.Contains(all, name) {
			continue
		}
		if near := nearest(name, all); near != "" {
			return nil, usage("%s names no secret %q (try: %s)", file.Path, name, near)
		}
		return nil, usage("%s names no secret %q (try: rota status)", file.Path, name)
	}
	if len(names) == 0 {
		return all, nil
	}
	return slices.DeleteFunc(slices.Clone(all), func(n string) bool { return !slices.Contains(names, n) }), nil
}

// nearest is the name that a mistyped one was likely meant to be.
func nearest(name string, all []string) string {
	for _, n := range all {
		if strings.HasSuffix(n, "/"+name) || strings.EqualFold(n, name) {
			return n
		}
	}
	best, distance := "", len(name)/3+1
	for _, n := range all {
		if d := edits(name, n); d < distance {
			best, distance = n, d
		}
	}
	return best
}

// edits is how many characters must be changed, added or left out to make one
// text of the other.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// completeNames lets the shell complete secrets' names.
func (a *app) completeNames(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	file, err := config.Load(a.configPath())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	names := slices.DeleteFunc(file.Names(), func(n string) bool { return slices.Contains(args, n) })
	return names, cobra.ShellCompDirectiveNoFileComp
}
