package file_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/provider/file"
	"github.com/rota-dev/rota/provider/providertest"
)

var key = rota.NewCredential(map[string]string{rota.FieldAccessKeyID: "AKIAIOSFODNN7EXAMPLE", rota.FieldSecretAccessKey: "wJalrXUtnFEMI/K7MDENG"})

var request = rota.DeliverRequest{Secret: "test/secret", Version: "rota-1", Credential: key}

func deliver(t *testing.T, c file.Config) error {
	t.Helper()
	target, err := file.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return target.Deliver(t.Context(), request)
}

// conforming are the formats whose values can be read back, each with how.
var conforming = []struct {
	config file.Config
	fields map[string]string
	read   func([]byte) (map[string]string, error)
}{
	{file.Config{Format: file.JSON}, map[string]string{"ID": rota.FieldAccessKeyID, "SECRET": rota.FieldSecretAccessKey}, func(content []byte) (map[string]string, error) {
		values := map[string]string{}
		return values, json.Unmarshal(content, &values)
	}},
	{file.Config{Format: file.Dotenv}, map[string]string{"ID": rota.FieldAccessKeyID, "SECRET": rota.FieldSecretAccessKey}, func(content []byte) (map[string]string, error) { return pairs(content, "=") }},
	{file.Config{Format: file.AWSCredentials}, map[string]string{"id": rota.FieldAccessKeyID, "secret": rota.FieldSecretAccessKey}, func(content []byte) (map[string]string, error) { return pairs(content, " = ") }},
	{file.Config{Format: file.Text}, map[string]string{"content": rota.FieldSecretAccessKey}, func(content []byte) (map[string]string, error) {
		return map[string]string{"content": string(content)}, nil
	}},
	{file.Config{Format: file.DockerConfig, Registry: "registry.example.org"}, map[string]string{"username": rota.FieldAccessKeyID, "password": rota.FieldSecretAccessKey}, func(content []byte) (map[string]string, error) {
		var all struct {
			Auths map[string]struct{ Auth []byte }
		}
		err := json.Unmarshal(content, &all)
		user, password, _ := strings.Cut(string(all.Auths["registry.example.org"].Auth), ":")
		return map[string]string{"username": user, "password": password}, err
	}},
}

func TestTheTargetKeepsTheContract(t *testing.T) {
	for _, c := range conforming {
		var err error
		if c.config.Fields, err = rota.ParseFieldMap(c.fields, nil); err != nil {
			t.Fatal(err)
		}
		t.Run(c.config.Format, func(t *testing.T) {
			providertest.Target(t, func(t *testing.T) providertest.TargetFixture {
				config := c.config
				config.Path = filepath.Join(t.TempDir(), "credentials")
				target, err := file.New(config)
				if err != nil {
					t.Fatal(err)
				}
				return providertest.TargetFixture{
					Target: target,
					Credential: func(n int) rota.Credential {
						values := map[string]string{}
						for _, field := range c.fields {
							values[field] = fmt.Sprintf("value-%d-of-%s", n, field)
						}
						return rota.NewCredential(values)
					},
					Read: func() (rota.Credential, bool, error) {
						content, err := os.ReadFile(config.Path)
						if errors.Is(err, fs.ErrNotExist) {
							return rota.Credential{}, false, nil
						}
						if err != nil {
							return rota.Credential{}, false, err
						}
						values, err := c.read(content)
						return config.Fields.Read(values), true, err
					},
					Writes: writes(t, config.Path),
				}
			})
		})
	}
}

func pairs(content []byte, separator string) (map[string]string, error) {
	values := map[string]string{}
	for line := range strings.Lines(string(content)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), separator); ok {
			values[name] = value
		} else if line != "[default]\n" {
			return nil, fmt.Errorf("torn: %q", line)
		}
	}
	return values, nil
}

// writes counts how often another file was found in the path's place.
func writes(t *testing.T, path string) func() int {
	var n int
	var last os.FileInfo
	return func() int {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if last == nil || !os.SameFile(last, info) || !last.ModTime().Equal(info.ModTime()) {
			n, last = n+1, info
		}
		return n
	}
}

func TestNewRefusesABadConfig(t *testing.T) {
	for name, c := range map[string]file.Config{
		"a relative path":                 {Path: "x/credentials", Format: file.JSON},
		"no path":                         {Format: file.JSON},
		"a folder":                        {Path: "/etc/", Format: file.JSON},
		"an unknown format":               {Path: "/x", Format: "toml"},
		"no format":                       {Path: "/x"},
		"a profile outside AWS's format":  {Path: "/x", Format: file.JSON, Profile: "app"},
		"a profile that breaks out":       {Path: "/x", Format: file.AWSCredentials, Profile: "a]\n[b"},
		"a text without content":          {Path: "/x", Format: file.Text},
		"a Docker config for no registry": {Path: "/x", Format: file.DockerConfig},
		"a registry outside its format":   {Path: "/x", Format: file.JSON, Registry: "r"},
		"a user outside htpasswd":         {Path: "/x", Format: file.JSON, User: "app"},
		"a mode that all may write":       {Path: "/x", Format: file.JSON, Mode: 0o666},
		"a mode with more than rights":    {Path: "/x", Format: file.JSON, Mode: fs.ModeSetuid | 0o600},
	} {
		if _, err := file.New(c); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestWhatCannotBeReplacedIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	elsewhere := filepath.Join(dir, "elsewhere")
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.WriteFile(elsewhere, []byte(`{}`), 0o600),
		os.Symlink(elsewhere, at("link")),
		os.Symlink(at("nowhere"), at("dangling")),
		os.Mkdir(at("folder"), 0o700),
		os.WriteFile(at("broken"), []byte(`{"other": "hush`), 0o600),
		os.WriteFile(at("huge"), make([]byte, 2<<20), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ name, path, want string }{
		{"a link", at("link"), "symbolic link"},
		{"a link to nothing", at("dangling"), "symbolic link"},
		{"a folder", at("folder"), "not a regular file"},
		{"content that is no JSON", at("broken"), "not valid JSON"},
		{"a huge file", at("huge"), "too large"},
		{"no folder", filepath.Join(dir, "none", "x"), "(try: create the folder"},
		{"a file for a folder", filepath.Join(elsewhere, "x"), "not a directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := deliver(t, file.Config{Path: c.path, Format: file.JSON})
			if err == nil || !strings.Contains(hint.Text(err), c.want) {
				t.Errorf("want an error with %q, got %v", c.want, err)
			}
			if class := rota.ClassOf(err); class != rota.ClassStop {
				t.Errorf("class %q", class)
			}
			if err != nil && strings.Contains(err.Error(), "hush") {
				t.Errorf("the error shows the file's content: %v", err)
			}
			target, _ := file.New(file.Config{Path: c.path, Format: file.JSON})
			for _, f := range target.(rota.Preflighter).Preflight(t.Context()) {
				if !f.OK && rota.Hint(f.Remedies) != "" {
					return
				}
			}
			t.Error("preflight has nothing to say about it")
		})
	}
	if content, err := os.ReadFile(elsewhere); err != nil || string(content) != `{}` {
		t.Errorf("the link's target was written: %q %v", content, err)
	}
	if content, err := os.ReadFile(at("broken")); err != nil || string(content) != `{"other": "hush` {
		t.Errorf("the broken file was written: %q %v", content, err)
	}
	left, err := filepath.Glob(at(".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestWhatACrashLeftBehindIsRemoved(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c.json")
	if err := os.WriteFile(filepath.Join(dir, ".c.json.rota-new"), []byte("half a secr"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := deliver(t, file.Config{Path: path, Format: file.JSON}); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

func TestTargetsThatShareAFileLoseNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "env")
	const n = 12
	var group sync.WaitGroup
	for k := range n {
		group.Go(func() {
			fields, err := rota.ParseFieldMap(map[string]string{fmt.Sprintf("KEY_%02d", k): rota.FieldSecretAccessKey}, nil)
			if err != nil {
				t.Error(err)
				return
			}
			if err := deliver(t, file.Config{Path: path, Format: file.Dotenv, Fields: fields}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(content), "\n"); got != n {
		t.Errorf("%d of %d lines:\n%s", got, n, content)
	}
}

// TestAnOrdinaryUser checks what is refused to a user that may not do
// everything. Root may, and so runs this test's program again as nobody.
func refusals(t *testing.T, dir string) {
	for _, c := range []struct {
		config file.Config
		want   string
	}{
		{file.Config{Path: dir + "/closed/c.json", Format: file.JSON}, "run it as the file's owner"},
		{file.Config{Path: dir + "/open/sealed.json", Format: file.JSON}, "permission denied"},
		{file.Config{Path: dir + "/open/new.json", Format: file.JSON, Owner: "0"}, "user 0"},
		{file.Config{Path: dir + "/sticky/c.json", Format: file.JSON, Owner: "65534"}, "operation not permitted"},
	} {
		if err := deliver(t, c.config); err == nil || !strings.Contains(hint.Text(err), c.want) {
			t.Errorf("%s: want an error with %q, got %v", c.config.Path, c.want, err)
		}
		target, _ := file.New(c.config)
		bad := false
		for _, f := range target.(rota.Preflighter).Preflight(t.Context()) {
			bad = bad || !f.OK && rota.Hint(f.Remedies) != ""
		}
		if !bad {
			t.Errorf("%s: preflight finds all in order", c.config.Path)
		}
	}
	if err := deliver(t, file.Config{Path: dir + "/open/mine.json", Format: file.JSON}); err != nil {
		t.Error(err)
	}
}
