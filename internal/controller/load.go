package controller

import (
	"cmp"
	"context"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/rota-dev/rota/internal/config"
)

// snapshot is what one configuration was made of.
type snapshot struct {
	*config.Compiled
	parts map[string]*part // by id
	keys  map[string]*part // the RotatingSecrets, by the name of the secret
}

// part is one resource, as it was compiled.
type part struct {
	*config.Resource
	object *unstructured.Unstructured
	wrong  string // beside what Compile finds
}

// last is the last valid spec of an object.
type last struct {
	uid        types.UID
	generation int64
	spec       map[string]any
}

// maxLoaded is how many configurations are remembered that have yet to come into force.
const maxLoaded = 8

// LoadFile reads rota.yaml together with the resources.
func (c *Controller) LoadFile(context.Context) (*config.File, error) {
	changes := c.changes.Load()
	parts := c.parts()
	resources := make([]*config.Resource, len(parts))
	s := &snapshot{parts: map[string]*part{}, keys: map[string]*part{}}
	for i, p := range parts {
		resources[i], s.parts[p.ID()] = p.Resource, p
		if p.Kind == config.RotatingSecret {
			s.keys[p.Key()] = p
		}
	}
	var err error
	if s.Compiled, err = c.Load(resources); err != nil {
		return nil, err
	}
	s.File.Changed(func() bool { return c.changes.Load() != changes })
	if err := c.values.keep(s.File.KubernetesSecrets()); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loaded = append(c.loaded, s); len(c.loaded) > maxLoaded {
		c.loaded = c.loaded[1:]
	}
	return s.File, nil
}

// parts are the resources, those first that were accepted as they are: what somebody
// writes later can't displace them.
func (c *Controller) parts() []*part {
	var all []*part
	add := func(kind config.ResourceKind, f *follower) {
		for _, o := range f.all() {
			if o.GetDeletionTimestamp() != nil {
				continue
			}
			spec, _, _ := unstructured.NestedMap(o.Object, "spec")
			if spec == nil {
				spec = map[string]any{}
			}
			p := &part{Resource: &config.Resource{Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName(), Spec: spec}, object: o}
			if kind == config.ClusterConnection {
				c.grants(p)
			}
			p.LastValid = c.lastValid(p)
			all = append(all, p)
		}
	}
	add(config.ClusterConnection, c.clusterConnections)
	add(config.NamespacedLogin, c.connections)
	add(config.RotatingSecret, c.rotatingSecrets)
	for _, p := range all {
		p.Accepted = c.accepted(p)
	}
	slices.SortStableFunc(all, func(a, b *part) int {
		if a.Accepted != b.Accepted {
			if a.Accepted {
				return -1
			}
			return 1
		}
		return cmp.Or(a.object.GetCreationTimestamp().Compare(b.object.GetCreationTimestamp().Time), cmp.Compare(a.ID(), b.ID()))
	})
	return all
}

// accepted reports whether the resource was valid as it is now, to this replica's
// knowledge or else to that of whoever reported last.
func (c *Controller) accepted(p *part) bool {
	c.mu.Lock()
	known, ok := c.last[p.ID()]
	c.mu.Unlock()
	if ok && known.uid == p.object.GetUID() {
		return known.generation == p.object.GetGeneration()
	}
	seen, _, _ := unstructured.NestedInt64(p.object.Object, "status", "observedGeneration")
	return seen == p.object.GetGeneration() && condition(p.object, "Ready")["reason"] != reasonInvalid
}

// lastValid is the spec that counts while the current one is invalid. Of one that
// another replica or an earlier process knew, the status says so.
func (c *Controller) lastValid(p *part) map[string]any {
	c.mu.Lock()
	known, ok := c.last[p.ID()]
	c.mu.Unlock()
	if ok && known.uid == p.object.GetUID() {
		return known.spec
	}
	spec, _, _ := unstructured.NestedMap(p.object.Object, "status", "lastValid", "spec")
	if spec != nil && p.Kind == config.ClusterConnection {
		spec, _ = withoutGrants(spec)
	}
	return spec
}

// adopt makes the snapshot of the configuration in force the current one, and
// remembers what's valid by it.
func (c *Controller) adopt(file *config.File) *snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.loaded, func(s *snapshot) bool { return s.File == file })
	if i < 0 {
		return c.force
	}
	c.force, c.loaded = c.loaded[i], c.loaded[i:]
	for id, p := range c.force.parts {
		if len(c.force.Invalid[id]) == 0 {
			c.last[id] = last{p.object.GetUID(), p.object.GetGeneration(), p.Spec}
		} else if _, known := c.last[id]; !known && c.force.Outdated[id] {
			generation, _, _ := unstructured.NestedInt64(p.object.Object, "status", "lastValid", "generation")
			c.last[id] = last{p.object.GetUID(), generation, p.LastValid}
		}
	}
	maps.DeleteFunc(c.last, func(id string, _ last) bool { return c.force.parts[id] == nil })
	return c.force
}

// withoutGrants splits a ClusterConnection's spec into the connection and the rest.
func withoutGrants(spec map[string]any) (connection, grants map[string]any) {
	connection, grants = maps.Clone(spec), map[string]any{}
	for _, key := range []string{"namespaces", "namespaceSelector"} {
		if value, given := connection[key]; given {
			grants[key] = value
			delete(connection, key)
		}
	}
	return connection, grants
}

// grants finds out which namespaces a ClusterConnection is for.
func (c *Controller) grants(p *part) {
	var to struct {
		Namespaces        []string              `json:"namespaces"`
		NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector"`
	}
	spec, given := withoutGrants(p.Spec)
	p.Spec = spec
	err := runtime.DefaultUnstructuredConverter.FromUnstructured(given, &to)
	selector := labels.Nothing()
	if err == nil {
		selector, err = metav1.LabelSelectorAsSelector(to.NamespaceSelector)
	}
	if err != nil {
		p.wrong = "spec.namespaceSelector: " + err.Error()
		selector = labels.Nothing()
	}
	p.Grants = func(namespace string) bool {
		if slices.Contains(to.Namespaces, namespace) || slices.Contains(to.Namespaces, "*") {
			return true
		}
		o := c.namespaces.get("", namespace)
		return o != nil && selector.Matches(labels.Set(o.GetLabels()))
	}
}
