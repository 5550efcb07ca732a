package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/provider"
)

// ResourceKind is the kind of a custom resource.
type ResourceKind string

// The kinds of custom resources.
const (
	RotatingSecret    ResourceKind = "RotatingSecret"
	NamespacedLogin   ResourceKind = "Connection"
	ClusterConnection ResourceKind = "ClusterConnection"
)

// Resource is a secret or a connection that's a resource of a cluster. It counts as a
// file that rota.yaml includes, with two differences: its names are those of its
// namespace, and it reaches nothing of the machine that Rota runs on.
type Resource struct {
	Kind      ResourceKind
	Namespace string // "" for a ClusterConnection
	Name      string
	// Spec is a secret or a connection as in rota.yaml.
	Spec map[string]any
	// LastValid is an earlier spec, which counts if Spec is invalid; nil for none.
	LastValid map[string]any
	// Accepted says that Spec has been in force.
	Accepted bool
	// Grants reports whether a namespace may use a ClusterConnection.
	Grants func(namespace string) bool
}

// ID identifies the resource, for people too: rotatingsecret shop/orders.
func (r *Resource) ID() string {
	return strings.ToLower(string(r.Kind)) + " " + strings.TrimPrefix(r.Namespace+"/"+r.Name, "/")
}

// Key is the name that the secret or the connection has in Rota. That of a
// ClusterConnection can't be a namespace's: those have no capital letters.
func (r *Resource) Key() string {
	return cmp.Or(r.Namespace, string(ClusterConnection)) + "/" + r.Name
}

// text is the resource as a file with one secret or connection.
func (r *Resource) text(spec map[string]any) ([]byte, error) {
	if r.Kind == RotatingSecret {
		secret := maps.Clone(spec)
		secret["name"] = r.Key()
		return yaml.Marshal(map[string]any{"secrets": []any{secret}})
	}
	return yaml.Marshal(map[string]any{"connections": map[string]any{r.Key(): spec}})
}

// Text is one of the resource's problems as its owner sees it: spec.issuer.user: what's
// wrong, and what to write instead.
func (r *Resource) Text(p Problem) string {
	inside := func(path Path) Path {
		if len(path) < 2 || path[0] != "secrets" && path[0] != "connections" {
			return Path{"spec"}
		}
		return append(Path{"spec"}, path[2:]...)
	}
	remedies := slices.Clone(p.Remedies)
	for i := range remedies {
		if remedies[i].Key == p.Path.String() {
			remedies[i].Key = inside(p.Path).String()
		}
	}
	return hint.Add(inside(p.Path).String()+": "+p.Message, remedies)
}

// Compiled is a configuration of a file and resources.
type Compiled struct {
	File *File
	// Invalid are the problems of each resource whose Spec isn't in force, by ID.
	Invalid map[string][]Problem
	// Outdated are those of them whose LastValid is in force, by ID.
	Outdated map[string]bool
}

// maxResourceParts is how many lines and values a resource may have.
const maxResourceParts = 20_000

// errBroken means that resources broke the file that they were added to, which is a
// mistake in this package.
var errBroken = errors.New("config: the resources make rota.yaml invalid")

// LoadWith is [Catalog.Compile] for a file on disk.
func (c *Catalog) LoadWith(path string, resources []*Resource) (*Compiled, error) {
	data, err := readMain(path)
	if err != nil {
		return nil, err
	}
	return c.Compile(path, data, resources)
}

// Compile is [Catalog.Parse] for a file and the resources of a cluster. The file has to
// be valid by itself, but needs no secrets. A resource that isn't changes nothing for the others: its last
// valid spec counts, or else it's left out. If two resources exclude each other, the
// earlier one in the list counts.
func (c *Catalog) Compile(path string, data []byte, resources []*Resource) (*Compiled, error) {
	if resources == nil {
		resources = []*Resource{}
	}
	base, err := c.parse(path, data, []*Resource{}, nil, nil)
	if err != nil {
		return nil, err
	}
	// What was in force so far keeps what it changes, also while its owner edits it.
	var before []*Resource
	edited := false
	for _, r := range resources {
		was := *r
		switch {
		case r.LastValid != nil:
			edited = edited || !reflect.DeepEqual(r.Spec, r.LastValid)
			was.Spec, was.LastValid = r.LastValid, nil
		case !r.Accepted:
			continue // it was never in force
		}
		before = append(before, &was)
	}
	var incumbents map[string]string
	if edited {
		earlier, err := c.settle(path, data, base, before, nil)
		if err != nil {
			return nil, err
		}
		incumbents = earlier.File.claimed()
	}
	return c.settle(path, data, base, resources, incumbents)
}

// settle compiles the resources, each as its Spec or else its LastValid says. incumbents
// are the secrets that may keep what they change, by what that is.
func (c *Catalog) settle(path string, data []byte, base *File, resources []*Resource, incumbents map[string]string) (*Compiled, error) {
	out := &Compiled{File: base, Invalid: map[string][]Problem{}, Outdated: map[string]bool{}}
	specs := make(map[*Resource]map[string]any, len(resources))
	byID := make(map[string]*Resource, len(resources))
	for _, r := range resources {
		specs[r], byID[r.ID()] = r.Spec, r
	}
	for {
		file, err := c.parse(path, data, resources, specs, incumbents)
		wrong, invalid := errors.AsType[Errors](err)
		if err == nil || !invalid {
			if err == nil {
				out.File = file
			}
			return out, err
		}
		found := map[*Resource][]Problem{}
		for _, p := range wrong {
			if r := byID[p.File]; r != nil && specs[r] != nil {
				found[r] = append(found[r], p)
			}
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("%w: %w", errBroken, err)
		}
		for r, problems := range found { // each is demoted twice at most
			id := r.ID()
			if out.Invalid[id] == nil {
				out.Invalid[id] = problems
			}
			if out.Outdated[id] || r.LastValid == nil {
				out.Outdated[id], specs[r] = false, nil
				continue
			}
			out.Outdated[id], specs[r] = true, r.LastValid
		}
	}
}

// resources adds the resources with these specs to the document, as included files.
func (d *decoder) addResources(f *File, resources []*Resource, specs map[*Resource]map[string]any) error {
	d.resources = make(map[string]*Resource, len(resources))
	x := &includer{decoder: d, document: &f.Document, sources: f.sources}
	d.limit = maxProblems * (1 + len(resources))
	own := map[string]bool{} // the secrets that are resources
	for _, r := range resources {
		own[r.Key()] = own[r.Key()] || r.Kind == RotatingSecret
	}
	var read []Part
	var of []*Resource
	for _, r := range resources {
		if specs[r] == nil {
			continue
		}
		id := r.ID()
		data, err := r.text(specs[r])
		if err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		d.resources[id] = r
		var part Part
		d.in = id
		d.parts = 0 // each has its own measure, or a large one would use up the others'
		if parts(data) > maxResourceParts {
			d.add(Pos{File: id, Line: 1, Column: 1}, nil, "several resources", "it has more than %d lines and values", maxResourceParts)
		} else if n := d.parse(data); n != nil {
			d.value(n, reflect.ValueOf(&part).Elem(), nil, "")
		}
		d.in = ""
		x.sources = append(x.sources, source{path: id, data: data, resource: true})
		read, of = append(read, part), append(of, r)
	}
	f.sources = x.sources
	for _, part := range read {
		x.merge(part)
	}
	d.limitResources(f.Document.Controller, of)
	for i, r := range of {
		t := tenant{decoder: d, document: &f.Document, resource: r, secrets: own}
		t.check(read[i])
	}
	return nil
}

// folder is where relative paths begin in the file of a position. A resource has no
// folder of its own.
func (f *File) folder(at Pos) string {
	if f.resources[at.File] != nil {
		return filepath.Dir(f.Path)
	}
	return filepath.Dir(cmp.Or(at.File, f.Path))
}

// lookUpKubernetes reads a key of a Secret. It's in the resource's own namespace, unless
// a ClusterConnection names another.
func (w *wiring) lookUpKubernetes(ref provider.Reference, t Text) (string, error) {
	r := w.file.resources[t.At.File]
	if r == nil || w.env.KubernetesSecret == nil {
		return "", errors.New("can't be read: this Rota reads no Kubernetes Secrets") // already rejected by validation
	}
	namespace, name, found := strings.Cut(ref.Name, "/")
	if !found {
		namespace, name = r.Namespace, ref.Name
	}
	value, err := w.env.KubernetesSecret(namespace, name, ref.Field)
	if err != nil {
		return "", fmt.Errorf("can't be read: %w", err)
	}
	return notEmpty(value)
}

// KubernetesSecrets returns the Secrets that the resources refer to, as
// namespace/name, sorted.
func (f *File) KubernetesSecrets() []string {
	var names []string
	for _, ref := range f.references {
		if ref.Kind != provider.RefKubernetes {
			continue
		}
		name := ref.Name
		if r := f.resources[ref.file]; r != nil && !strings.Contains(name, "/") {
			name = r.Namespace + "/" + name
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Changed makes the file count as changed once this says so, too: what it was compiled
// from isn't only on disk.
func (f *File) Changed(changed func() bool) { f.changed = changed }
