package config

import (
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

// wiredExample parses and wires a provider's example, with a value substituted
// for each reference.
func wiredExample(t *testing.T, d ProviderDescription) (*File, *Wired) {
	t.Helper()
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	file, err := builtin.Parse(d.Name+".yaml", []byte(d.Example))
	if err != nil {
		t.Fatalf("%v\n%s", err, d.Example)
	}
	for _, w := range file.Warnings() {
		t.Errorf("the example is warned of: %v", w)
	}
	host, login := testenv.SSHKey(t)
	wired, err := file.Wire(t.Context(), Environment{
		LookupEnv: func(string) (string, bool) { return "value", true },
		ReadFile: func(path string) ([]byte, fs.FileMode, error) {
			switch {
			case strings.HasSuffix(path, "known_hosts"):
				return append([]byte("* "), ssh.MarshalAuthorizedKey(host.PublicKey())...), 0o600, nil
			case strings.HasSuffix(path, "ssh"):
				return []byte(login), 0o600, nil
			case strings.HasSuffix(path, "slack"):
				return []byte("slack://hook:AAAAAAAAA-BBBBBBBBB-123456789123456789123456@webhook"), 0o600, nil
			case strings.HasSuffix(path, "hook"):
				return []byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), 0o600, nil
			}
			return []byte("value"), 0o600, nil
		},
		OwnStore: func(string) rota.Store { return &fakeStore{} },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = wired.Close() })
	for name, err := range wired.Broken {
		t.Errorf("the example's secret %s: %v", name, err)
	}
	return file, wired
}

// Every provider's example is a valid rota.yaml that uses all of its kinds, and
// so is each kind's own example.
func TestExamplesOfProvidersAreGood(t *testing.T) {
	for _, d := range builtin.Describe() {
		t.Run(d.Name, func(t *testing.T) {
			file, _ := wiredExample(t, d)
			for _, k := range d.Kinds {
				if k.Example == "" || !strings.HasSuffix(k.Summary, ".") {
					t.Errorf("%s %s: example %q, summary %q", k.Role, k.Key, k.Example, k.Summary)
				}
				if !slices.Contains(kindsIn(file), k.Role+" "+k.Key) {
					t.Errorf("the example has no %s %s:\n%s", k.Role, k.Key, d.Example)
				}
				for _, key := range k.Keys {
					if key.Key != "" && !strings.HasSuffix(key.Description, ".") {
						t.Errorf("%s %s: %s is described as %q", k.Role, k.Key, key.Key, key.Description)
					}
				}
			}
		})
	}
}

// kindsIn returns the roles and keys of all kinds in a file.
func kindsIn(f *File) []string {
	var all []string
	for _, c := range f.Document.Connections {
		role := RoleConnection
		if c.Kind.kind.notifier {
			role = RoleNotifier
		}
		all = append(all, role+" "+c.Kind.Key())
	}
	for _, s := range f.Document.Secrets {
		for _, p := range s.pieces() {
			all = append(all, string(p.kind.role)+" "+p.Key())
		}
	}
	if f.Document.Server.Audit == nil {
		return all
	}
	for _, a := range f.Document.Server.Audit.Anchors {
		if a.Kind.kind != nil {
			all = append(all, RoleArchive+" "+a.Kind.Key())
		}
	}
	return all
}

// What a provider's description says about an issuer matches what the issuer in
// its example can do.
func TestDescriptionsOfIssuersAreTrue(t *testing.T) {
	for _, d := range builtin.Describe() {
		if !slices.ContainsFunc(d.Kinds, func(k KindDescription) bool { return k.Role == RoleIssuer }) {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			file, wired := wiredExample(t, d)
			for i, s := range file.Document.Secrets {
				issuer := wired.Secrets[i].Issuer
				at := slices.IndexFunc(d.Kinds, func(k KindDescription) bool { return k.Role == RoleIssuer && k.Key == s.Issuer.Kind.Key() })
				if at < 0 {
					continue // another provider's
				}
				described := d.Kinds[at].Issuer
				if _, reversible := issuer.(rota.Deactivator); reversible != described.Reversible {
					t.Errorf("%s: reversible is described as %t", d.Kinds[at].Key, described.Reversible)
				}
				if _, reports := issuer.(rota.UseReporter); reports != (described.Evidence != "none") {
					t.Errorf("%s: evidence is described as %s", d.Kinds[at].Key, described.Evidence)
				}
				facts, _ := s.Issuer.facts()
				if diff := cmp.Diff(facts.Traits, issuer.Traits()); diff != "" {
					t.Errorf("%s: traits (-kind +issuer):\n%s", d.Kinds[at].Key, diff)
				}
				if issuer.Traits().IssuerChooses || issuer.Traits().Manual {
					continue // its Create calls an outside system
				}
				c, err := issuer.Create(t.Context(), rota.CreateRequest{})
				if err != nil && issuer.Traits().FromCurrent {
					continue // there's none to make it from
				}
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(slices.Sorted(slices.Values(facts.Fields.All)), c.Names()); diff != "" {
					t.Errorf("%s: fields (-kind +issuer):\n%s", d.Kinds[at].Key, diff)
				}
			}
		})
	}
}
