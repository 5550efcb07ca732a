package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs, Annotations: inPlace(placeNowhere),
		RunE: func(*cobra.Command, []string) error {
			b := buildDoc{Version: Version, Go: runtime.Version()}
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						b.Commit = s.Value
					}
				}
			}
			if a.json() {
				return a.document(b)
			}
			a.printf("rota %s (%s)", b.Version, b.Go)
			return nil
		},
	}
}
