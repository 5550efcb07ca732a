package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rota/config"
)

// loadAndPick reads rota.yaml and picks the named secrets.
func (a *app) loadAndPick(names []string) (*config.File, []string, error) {
	file, err := a.loadConfig()
	if err != nil {
		return nil, nil, err
	}
	wanted, err := pick(file, names)
	return file, wanted, err
}

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
	return config.Nearest(name, all)
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
