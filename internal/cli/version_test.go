package cli

import (
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What rota version shows depends on how it was built.
func TestVersionByKindOfBuild(t *testing.T) {
	module := strings.TrimSuffix(reflect.TypeFor[app]().PkgPath(), "/internal/cli")
	const hash = "0123456789abcdef0123456789abcdef01234567"
	checkout := []debug.BuildSetting{
		{Key: "vcs.revision", Value: hash}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"},
	}
	tests := map[string]struct {
		info                  debug.BuildInfo
		version, commit, date string
		want                  buildDoc
		text                  string
	}{
		"a release": {
			info:    debug.BuildInfo{Main: debug.Module{Path: module, Version: "v1.2.3"}},
			version: "v1.2.3", commit: hash, date: "2026-01-02T03:04:05Z",
			want: buildDoc{Version: "1.2.3", Commit: hash, Date: "2026-01-02T03:04:05Z"},
			text: "rota 1.2.3 (commit 0123456789ab of 2026-01-02T03:04:05Z, ",
		},
		"go install of a version": {
			info: debug.BuildInfo{Main: debug.Module{Path: module, Version: "v1.2.3"}},
			want: buildDoc{Version: "1.2.3"},
			text: "rota 1.2.3 (go",
		},
		"go build in a checkout with changes": {
			info: debug.BuildInfo{Main: debug.Module{Path: module, Version: "v0.0.0-20260102030405-0123456789ab+dirty"}, Settings: checkout},
			want: buildDoc{Version: "0.0.0-20260102030405-0123456789ab+dirty", Commit: hash, Date: "2026-01-02T03:04:05Z", Modified: true},
			text: "rota 0.0.0-20260102030405-0123456789ab+dirty (commit 0123456789ab of 2026-01-02T03:04:05Z, modified, ",
		},
		"make build with changes, without what Go records": {
			info:    debug.BuildInfo{Main: debug.Module{Path: module, Version: "(devel)"}},
			version: "v1.2.3-4-g0123456-dirty", commit: hash, date: "2026-01-02T03:04:05Z",
			want: buildDoc{Version: "1.2.3-4-g0123456-dirty", Commit: hash, Date: "2026-01-02T03:04:05Z", Modified: true},
			text: "rota 1.2.3-4-g0123456-dirty (commit 0123456789ab of 2026-01-02T03:04:05Z, modified, ",
		},
		"sources alone": {
			info: debug.BuildInfo{Main: debug.Module{Path: module, Version: "(devel)"}},
			want: buildDoc{Version: "devel"},
			text: "rota devel (go",
		},
		"no build information at all": {
			want: buildDoc{Version: "devel"},
			text: "rota devel (go",
		},
		"with providers of one's own": {
			info: debug.BuildInfo{
				Main:     debug.Module{Path: "example.com/rota-parcel", Version: "v9.9.9"},
				Deps:     []*debug.Module{{Path: module + "te", Version: "v7.0.0"}, {Path: module, Version: "v1.2.3"}},
				Settings: checkout,
			},
			want: buildDoc{Version: "1.2.3"},
			text: "rota 1.2.3 (go",
		},
		"with providers of one's own, beside a checkout of Rota": {
			info: debug.BuildInfo{
				Main:     debug.Module{Path: "example.com/rota-parcel", Version: "(devel)"},
				Deps:     []*debug.Module{{Path: module, Version: "v1.2.3", Replace: &debug.Module{Path: "../.."}}},
				Settings: checkout,
			},
			want: buildDoc{Version: "devel"},
			text: "rota devel (go",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.want.Go, test.want.Platform = runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH
			got := describeBuild(&test.info, test.version, test.commit, test.date)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("describeBuild (-want +got):\n%s", diff)
			}
			if !strings.HasPrefix(got.String(), test.text) {
				t.Errorf("it prints %q, which should begin with %q", got, test.text)
			}
		})
	}
}
