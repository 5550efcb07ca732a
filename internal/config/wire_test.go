package config

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/rotation"
)

// fakeStore is Rota's own store, with one current credential or none.
type fakeStore struct {
	rota.Store
	current rota.Credential
	err     error
	reads   *int
}

func (s fakeStore) Describe(context.Context) (rota.Contents, error) {
	if s.err != nil || s.current.IsZero() {
		return rota.Contents{}, s.err
	}
	return rota.Contents{Versions: []rota.Version{{ID: "v1", Labels: []rota.Label{rota.LabelPrevious}}, {ID: "v2", Labels: []rota.Label{rota.LabelCurrent}}}}, nil
}

func (s fakeStore) Get(_ context.Context, r rota.GetRequest) (rota.Credential, error) {
	*s.reads++
	if r.Version != "v2" {
		return rota.Credential{}, rota.ErrNotFound
	}
	return s.current, nil
}

// world is an environment for tests, with variables, files and own stores.
type world struct {
	env    map[string]string
	files  map[string]string
	mode   fs.FileMode
	stores map[string]rota.Credential
	reads  int
}

func goodWorld() *world {
	return &world{
		env: map[string]string{"EXTERNAL_ID": "e", "KEY_ID": "AKIA1", "TOKEN": "hunter2-token", "PROFILE": "p", "CMS_USER": "cms",
			"DB_PASSWORD": "hunter2-db", "HOST": "localhost"},
		files:  map[string]string{"testdata/good/aws-secret": "hunter2-aws\n"},
		mode:   0o600,
		stores: map[string]rota.Credential{"prod/admin": rota.NewCredential(map[string]string{"username": "other_admin", "password": "hunter2-admin"})},
	}
}

func (w *world) environment() Environment {
	return Environment{
		OwnStore:  func(name string) rota.Store { return fakeStore{current: w.stores[name], reads: &w.reads} },
		LookupEnv: func(name string) (string, bool) { v, ok := w.env[name]; return v, ok },
		ReadFile: func(path string) ([]byte, fs.FileMode, error) {
			text, ok := w.files[path]
			if !ok {
				return nil, 0, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
			}
			return []byte(text), w.mode, nil
		},
	}
}

// awsFiles isolates the test from the machine's AWS settings, and provides a
// profile p.
func awsFiles(t *testing.T) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "aws")
	if err := os.WriteFile(path, []byte("[profile p]\nregion = eu-west-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONFIG_FILE", path)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", path)
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_PROFILE", "")
}

func wireEverything(t *testing.T, w *world) *Wired {
	t.Helper()
	awsFiles(t)
	f, err := builtin.Load(t.Context(), "testdata/good/everything.yaml")
	if err != nil {
		t.Fatal(err)
	}
	wired, err := f.Wire(t.Context(), w.environment())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := wired.Close(); err != nil {
			t.Error(err)
		}
	})
	return wired
}

func TestAllPartsOfASecretAreWired(t *testing.T) {
	wired := wireEverything(t, goodWorld())
	if len(wired.Broken) > 0 {
		t.Fatalf("broken: %v", wired.Broken)
	}
	var names []string
	for _, s := range wired.Secrets {
		names = append(names, s.Name)
		if wired.ByName[s.Name] != s || s.Issuer == nil || s.Store == nil {
			t.Errorf("%s: %+v", s.Name, s)
		}
	}
	if diff := cmp.Diff([]string{"prod/s3", "prod/admin", "prod/orders", "prod/monthly", "vendor/licence", "prod/deploy"}, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	s3, admin, orders := wired.Secrets[0], wired.Secrets[1], wired.Secrets[2]
	if diff := cmp.Diff([][]string{{"by-profile", "prod-aws"}, {"app-db"}, {"other-db"}}, [][]string{s3.Systems, admin.Systems, orders.Systems}); diff != "" {
		t.Errorf("systems (-want +got):\n%s", diff)
	}
	if len(s3.Checks) != 1 || len(s3.Targets) != 2 || len(s3.Reloaders) != 1 || len(s3.Notifiers) != 2 {
		t.Errorf("prod/s3: %+v", s3)
	}
	if s3.Targets[0].Name() != "env" || s3.Reloaders[0].Name() != "app" {
		t.Errorf("names %q, %q", s3.Targets[0].Name(), s3.Reloaders[0].Name())
	}
	if len(admin.Checks) != 2 || admin.Checks[0].Name() == admin.Checks[1].Name() || len(admin.Notifiers) != 0 {
		t.Errorf("prod/admin: %+v", admin)
	}
	if len(orders.Notifiers) != 1 || orders.Notifiers[0] != s3.Notifiers[0] {
		t.Error("the notifier of the defaults is not shared")
	}
	if diff := cmp.Diff([]string{"hook", "mail", "ops", "pager", "slack"}, slices.Sorted(maps.Keys(wired.Notifiers))); diff != "" {
		t.Errorf("notifiers (-want +got):\n%s", diff)
	}
}

func TestPoliciesAreMergedKeyByKey(t *testing.T) {
	f, err := builtin.Load(t.Context(), "testdata/good/everything.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := rotation.Policy{RotateEvery: 90 * rota.Day, DeactivatePreviousAfter: 10 * rota.Day, DeletePreviousAfter: 20 * rota.Day}
	want.Jitter = rota.Day
	if diff := cmp.Diff(want, f.Policy("prod/admin")); diff != "" {
		t.Errorf("prod/admin: %s", diff)
	}
	want.Retire, want.UnusedFor, want.MaxAttempts, want.LateAfter = rotation.RetireBeforeCreate, 3*rota.Day, 5, 2*rota.Day
	if diff := cmp.Diff(want, f.Policy("prod/s3")); diff != "" {
		t.Errorf("prod/s3: %s", diff)
	}
	orders := f.Policy("prod/orders")
	if orders.RotateEvery != 30*rota.Day || orders.DeletePreviousAfter != 20*rota.Day || orders.Window == nil {
		t.Errorf("prod/orders: %+v", orders)
	}
}

func TestPasswordsAreAsLongAsTheFileSays(t *testing.T) {
	wired := wireEverything(t, goodWorld())
	for name, length := range map[string]int{"prod/admin": 40, "prod/orders": 24} {
		c, err := wired.ByName[name].Issuer.Create(t.Context(), rota.CreateRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if got := len(c.Field(rota.FieldPassword)); got != length {
			t.Errorf("%s: password of %d characters, want %d", name, got, length)
		}
	}
}

func TestReferencesAreResolved(t *testing.T) {
	w := goodWorld()
	awsFiles(t)
	f, err := builtin.Load(t.Context(), "testdata/good/everything.yaml")
	if err != nil {
		t.Fatal(err)
	}
	wiring := &wiring{file: f, env: w.environment(), stores: map[string]memo[rota.Store]{}, credentials: map[string]memo[rota.Credential]{}}
	for name, x := range map[string]struct {
		text Text
		want string
	}{
		"a variable among literals, with an escape": {f.text("app-db", "password"), "ahunter2-db${b}"},
		"a file beside the config, newline cut off": {f.text("prod-aws", "secret_access_key"), "hunter2-aws"},
		"another secret's current version":          {f.text("other-db", "password"), "hunter2-admin"},
		"a literal":                                 {f.text("app-db", "host"), "db.internal"},
		"nothing":                                   {Text{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := wiring.Resolve(t.Context(), x.text); err != nil || got != x.want {
				t.Errorf("got %q, %v; want %q", got, err, x.want)
			}
		})
	}
}

func TestOneBrokenSecretStopsNoOther(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world)
		want   map[string]string // substrings of each broken secret's error
	}{
		"a variable is not set": {func(w *world) { delete(w.env, "CMS_USER") },
			map[string]string{"prod/s3": `everything.yaml:66:59: secrets[prod/s3].issuer.iam_access_key.user: ${env:CMS_USER} is not set (try: export CMS_USER=…)`}},
		"a variable is empty": {func(w *world) { w.env["HOST"] = "" },
			map[string]string{"prod/orders": `connections.other-db.postgres.host: ${env:HOST} is empty`}},
		"a file is missing": {func(w *world) { w.files = nil },
			map[string]string{"prod/s3": `${file:aws-secret} can't be read: open testdata/good/aws-secret: file does not exist (try: create it, or correct the path`, "prod/orders": "aws-secret", "prod/deploy": "aws-secret"}},
		"another secret has no value yet": {func(w *world) { w.stores = nil },
			map[string]string{"prod/orders": `${secret:prod/admin#password} can't be read: prod/admin has no current version (try: rota rotate prod/admin`}},
		"nothing is wrong": {func(*world) {}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := goodWorld()
			c.change(w)
			wired := wireEverything(t, w)
			if diff := cmp.Diff(slices.Sorted(maps.Keys(c.want)), slices.Sorted(maps.Keys(wired.Broken))); diff != "" {
				t.Errorf("broken (-want +got):\n%s", diff)
			}
			for name, part := range c.want {
				text := hint.Text(wired.Broken[name])
				if !strings.Contains(text, part) || !strings.HasPrefix(text, name+": ") || strings.Contains(text, "hunter2") {
					t.Errorf("%s: error %q, want one with %q", name, text, part)
				}
				if wired.ByName[name] != nil {
					t.Errorf("%s is wired", name)
				}
				if watched := wired.Watched[name]; watched == nil || watched.Name != name || watched.Policy.RotateEvery == 0 && watched.Policy.RotateAt == nil {
					t.Errorf("%s: an alert would know no more than %+v", name, watched)
				}
			}
			if len(wired.Secrets)+len(wired.Broken) != 6 {
				t.Errorf("%d wired, %d broken", len(wired.Secrets), len(wired.Broken))
			}
		})
	}
}

func TestSecretsWhoseReferencesMeetAreBothBroken(t *testing.T) {
	f, err := builtin.Parse("rota.yaml", []byte(`
connections: {a: {aws: {region: eu-central-1}}}
secrets:
  - {name: x, issuer: {connection: a, iam_access_key: {user: "${env:U}"}}}
  - {name: y, issuer: {connection: a, iam_access_key: {user: Robot}}}
  - {name: z, issuer: {connection: a, iam_access_key: {user: other}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	w := goodWorld()
	w.env["U"] = "robot"
	wired, err := f.Wire(t.Context(), w.environment())
	if err != nil {
		t.Fatal(err)
	}
	if len(wired.Secrets) != 1 || wired.Secrets[0].Name != "z" {
		t.Errorf("wired %v", wired.Secrets)
	}
	for name, want := range map[string]string{"x": "x: IAM user \"Robot\" is also used by secret y", "y": "y: IAM user \"Robot\" is also used by secret x"} {
		if got := fmt.Sprint(wired.Broken[name]); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestAFileOpenToOthersIsWarnedOf(t *testing.T) {
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o644, 0o444} {
		w := goodWorld()
		w.mode = mode
		wired := wireEverything(t, w)
		want := fmt.Sprintf("everything.yaml:10:26: connections.prod-aws.aws.secret_access_key: ${file:aws-secret} is open to others: mode %#o", mode)
		if len(wired.Broken) > 0 || len(wired.Warnings) != 1 || !strings.Contains(wired.Warnings[0].Error(), want) {
			t.Errorf("broken %v, warnings %v", wired.Broken, wired.Warnings)
		}
	}
}

// The mode of what systemd hands a service with LoadCredential is 0440.
func TestAServicesCredentialsArentOpenToOthers(t *testing.T) {
	for _, test := range []struct {
		path string
		mode fs.FileMode
		open bool
	}{
		{"/run/credentials/rota.service/app-db", 0o440, false},
		{"/run/user/1000/credentials/rota.service/app-db", 0o440, false},
		{"/run/credentials/rota.service/app-db", 0o444, true},
		{"/run/credentials/../secrets/app-db", 0o440, true},
		{"/etc/rota/app-db", 0o440, true},
	} {
		w := &wiring{file: &File{Path: "rota.yaml"}, env: Environment{
			ReadFile: func(string) ([]byte, fs.FileMode, error) { return []byte("x"), test.mode, nil },
			LookupEnv: func(name string) (string, bool) {
				return "/run/user/1000/credentials/rota.service", name == "CREDENTIALS_DIRECTORY"
			},
		}}
		if _, err := w.lookUpFile(provider.Reference{Name: test.path}, Text{}); err != nil || len(w.warnings.list) > 0 != test.open {
			t.Errorf("%s with mode %#o: %+v (%v)", test.path, test.mode, w.warnings.list, err)
		}
	}
}

// A known_hosts file is nothing that others may not read.
func TestAPublicFileMayBeOpenToOthers(t *testing.T) {
	w := &wiring{env: Environment{ReadFile: func(string) ([]byte, fs.FileMode, error) { return []byte("x"), 0o644, nil }}.withDefaults(), file: &File{Path: "rota.yaml"}}
	for public, want := range map[bool]int{true: 0, false: 1} {
		w.warnings = problems{}
		if _, err := w.lookUpFile(provider.Reference{Kind: provider.RefFile, Name: "/etc/known_hosts"}, Text{Public: public}); err != nil {
			t.Fatal(err)
		}
		if got := len(w.warnings.list); got != want {
			t.Errorf("public %t: %d warnings", public, got)
		}
	}
}

func TestWithoutRotasOwnStoreOnlyItsSecretsAreBroken(t *testing.T) {
	awsFiles(t)
	f, err := builtin.Load(t.Context(), "testdata/good/everything.yaml")
	if err != nil {
		t.Fatal(err)
	}
	env := goodWorld().environment()
	env.OwnStore = nil
	wired, err := f.Wire(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = wired.Close() }()
	if diff := cmp.Diff([]string{"prod/admin", "prod/deploy", "prod/monthly", "prod/orders", "vendor/licence"}, slices.Sorted(maps.Keys(wired.Broken))); diff != "" {
		t.Errorf("broken (-want +got):\n%s", diff)
	}
}

func TestAnotherSecretIsReadOnce(t *testing.T) {
	w := goodWorld()
	wireEverything(t, w)
	if w.reads != 1 {
		t.Errorf("read %d times", w.reads)
	}
}

func TestACancelledWiringIsAnError(t *testing.T) {
	f, err := builtin.Load(t.Context(), "testdata/base.yaml")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Wire(ctx, goodWorld().environment()); err == nil {
		t.Error("no error")
	}
}

func TestFilesOfThisMachineAreReadWithTheirMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("x"), 0o640); err != nil {
		t.Fatal(err)
	}
	data, mode, err := readFile(path)
	if err != nil || string(data) != "x" || mode != 0o640 {
		t.Errorf("got %q, %v, %v", data, mode, err)
	}
	if _, _, err := readFile(filepath.Dir(path)); err == nil {
		t.Error("a folder is read")
	}
	if err := os.WriteFile(path, make([]byte, maxValue+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readFile(path); err == nil || !strings.Contains(err.Error(), "larger than 64 KiB") {
		t.Errorf("a large file: %v", err)
	}
}
