package cli

import (
	"cmp"
	"fmt"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// Set by the linker, in releases and by make build. Where they're empty, what Go
// itself recorded takes their place.
var (
	linkedVersion string // v1.2.3, or what git describe prints, -dirty included
	linkedCommit  string // the whole hash
	linkedDate    string // the commit's, as 2006-01-02T15:04:05Z
)

// Version is the program's, without a v in front.
var Version = thisBuild().Version

// thisBuild is what the linker and Go know about this program.
func thisBuild() buildDoc {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return describeBuild(info, linkedVersion, linkedCommit, linkedDate)
}

// describeBuild completes what the linker set with what Go recorded: the version
// that go install was asked for, or the state of the checkout.
func describeBuild(info *debug.BuildInfo, version, commit, date string) buildDoc {
	b := buildDoc{Commit: commit, Date: date, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	module := rotaModule(info)
	b.Version = cmp.Or(version, strings.Trim(module.Version, "()"), "devel")
	b.Version = strings.TrimPrefix(b.Version, "v")
	b.Modified = strings.HasSuffix(b.Version, "-dirty") || strings.HasSuffix(b.Version, "+dirty")
	if module != &info.Main {
		return b // the checkout that Go recorded is another program's
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = cmp.Or(b.Commit, s.Value)
		case "vcs.time":
			b.Date = cmp.Or(b.Date, s.Value)
		case "vcs.modified":
			b.Modified = b.Modified || s.Value == "true"
		}
	}
	return b
}

// rotaModule is this module as Go recorded it: the program's own, or one that a
// rota with more providers depends on.
func rotaModule(info *debug.BuildInfo) *debug.Module {
	here := reflect.TypeFor[app]().PkgPath()
	for _, m := range info.Deps {
		if strings.HasPrefix(here, m.Path+"/internal/") {
			if m.Replace != nil {
				return m.Replace
			}
			return m
		}
	}
	return &info.Main
}

// String is one line: rota 1.2.3 (commit 0123456789ab of 2026-01-02T03:04:05Z, go1.26.0, linux/amd64).
func (b buildDoc) String() string {
	var details []string
	if b.Commit != "" {
		commit := "commit " + b.Commit[:min(12, len(b.Commit))]
		if b.Date != "" {
			commit += " of " + b.Date
		}
		details = append(details, commit)
	}
	if b.Modified {
		details = append(details, "modified")
	}
	details = append(details, b.Go, b.Platform)
	return fmt.Sprintf("rota %s (%s)", b.Version, strings.Join(details, ", "))
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, and the commit it was built from",
		Args:  noArgs, Annotations: inPlace(placeNowhere),
		RunE: func(*cobra.Command, []string) error {
			b := thisBuild()
			if a.json() {
				return a.document(b)
			}
			a.printf("%s", b)
			return nil
		},
	}
}
