package kubernetes

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota"
)

// kind is a kind of workload.
type kind struct {
	name     string // as kubectl writes it: "deployment"
	title    string // as its objects have it: "Deployment"
	resource string // in paths: "deployments"
	group    string
	version  string
}

// kinds are those that Rota restarts.
var kinds = []kind{
	{"deployment", "Deployment", "deployments", groupApps, "v1"}, {"statefulset", "StatefulSet", "statefulsets", groupApps, "v1"}, {"daemonset", "DaemonSet", "daemonsets", groupApps, "v1"},
	{kindRollout, "Rollout", "rollouts", groupArgo, "v1alpha1"},
}

// The API groups of the kinds.
const (
	groupApps = "apps"
	groupArgo = "argoproj.io"
)

// path is that of a namespace's workloads of the kind, or of one of them.
func (k kind) path(namespace, name string) string {
	return path.Join("/apis", k.group, k.version, "namespaces", namespace, k.resource, name)
}

// Workload names a workload: its kind in lower case, such as "deployment", and its name.
type Workload struct{ Kind, Name string }

// ParseWorkload reads "deployment/orders".
func ParseWorkload(text string) (Workload, error) {
	kind, name, _ := strings.Cut(text, "/")
	w := Workload{kind, name}
	if _, known := w.kind(); !known || !goodName(name) {
		return Workload{}, rota.WithRemedies(fmt.Errorf("%q isn't a workload", text), rota.Configure("", "deployment/NAME, statefulset/NAME, daemonset/NAME or rollout/NAME"))
	}
	return w, nil
}

func (w Workload) kind() (kind, bool) {
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == w.Kind })
	if i < 0 {
		return kind{}, false
	}
	return kinds[i], true
}

// workload is one as the API server has it. The kinds have different fields; those that
// one hasn't are zero.
type workload struct {
	kind     kind
	Metadata metadata `json:"metadata"`
	Spec     struct {
		Replicas *int     `json:"replicas"`
		Paused   bool     `json:"paused"`
		Selector selector `json:"selector"`
		Template struct {
			Metadata metadata `json:"metadata"`
			Spec     podSpec  `json:"spec"`
		} `json:"template"`
		UpdateStrategy struct {
			Type          string `json:"type"`
			RollingUpdate struct {
				Partition int `json:"partition"`
			} `json:"rollingUpdate"`
		} `json:"updateStrategy"`
		RestartAt time.Time `json:"restartAt"` // of a Rollout
	} `json:"spec"`
	Status struct {
		ObservedGeneration generation  `json:"observedGeneration"`
		Replicas           int         `json:"replicas"`
		Updated            int         `json:"updatedReplicas"`
		Ready              int         `json:"readyReplicas"`
		Available          int         `json:"availableReplicas"`
		CurrentRevision    string      `json:"currentRevision"`
		UpdateRevision     string      `json:"updateRevision"`
		Desired            int         `json:"desiredNumberScheduled"`
		UpdatedScheduled   int         `json:"updatedNumberScheduled"`
		NumberAvailable    int         `json:"numberAvailable"`
		Conditions         []condition `json:"conditions"`
		// Those of a Rollout.
		Phase       string    `json:"phase"`
		Message     string    `json:"message"`
		RestartedAt time.Time `json:"restartedAt"`
	} `json:"status"`
}

// condition is one of a workload's or a pod's.
type condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// String is the workload for people.
func (w *workload) String() string { return w.kind.title + " " + w.Metadata.Name }

// replicas is how many pods it should have.
func (w *workload) replicas() int {
	if w.Spec.Replicas == nil {
		return 1
	}
	return *w.Spec.Replicas
}

// selector is how a workload finds its pods.
type selector struct {
	Labels      map[string]string `json:"matchLabels"`
	Expressions []struct {
		Key      string   `json:"key"`
		Operator string   `json:"operator"`
		Values   []string `json:"values"`
	} `json:"matchExpressions"`
}

// String is the selector as a query has it.
func (s selector) String() string {
	var terms []string
	for _, key := range slices.Sorted(maps.Keys(s.Labels)) {
		terms = append(terms, key+"="+s.Labels[key])
	}
	for _, e := range s.Expressions {
		switch values := strings.Join(e.Values, ","); e.Operator {
		case "In":
			terms = append(terms, e.Key+" in ("+values+")")
		case "NotIn":
			terms = append(terms, e.Key+" notin ("+values+")")
		case "Exists":
			terms = append(terms, e.Key)
		case "DoesNotExist":
			terms = append(terms, "!"+e.Key)
		}
	}
	return strings.Join(terms, ",")
}

// getWorkload reads one workload.
func (c *Connection) getWorkload(ctx context.Context, namespace string, k kind, name string) (*workload, error) {
	w := &workload{}
	q := request{op: "read " + k.title + " " + namespace + "/" + name, kind: k.title, path: k.path(namespace, name),
		need: need{verbs: []string{"get", "patch"}, group: k.group, resource: k.resource, name: name, namespace: namespace}}
	err := c.do(ctx, q, w)
	w.kind = k
	return w, err
}

// pageSize is how many objects a list is asked for at once. A hundred large pods are well
// below what's read of an answer.
const pageSize = "100"

// maxPages is how many pages a list may have: 100,000 objects are more than a namespace
// can do with.
const maxPages = 1000

// listAll gathers the items of a list.
func listAll[T any](ctx context.Context, c *Connection, q request, labels string) ([]T, error) {
	var all []T
	next := ""
	for range maxPages {
		q.query = url.Values{"limit": {pageSize}}
		if labels != "" {
			q.query.Set("labelSelector", labels)
		}
		if next != "" {
			q.query.Set("continue", next)
		}
		var page struct {
			Metadata struct {
				Continue string `json:"continue"`
			} `json:"metadata"`
			Items []T `json:"items"`
		}
		if err := c.do(ctx, q, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if next = page.Metadata.Continue; next == "" {
			return all, nil
		}
	}
	e := &rota.Error{System: c.System(), Connection: c.name, Op: q.op, Class: rota.ClassWait}
	e.Err, e.Remedies = fmt.Errorf("the list has more than %d pages", maxPages), c.notAnAPIServer()
	return nil, e
}

// listWorkloads reads all workloads of a namespace, or those with these labels.
func (c *Connection) listWorkloads(ctx context.Context, namespace, labels string) ([]*workload, error) {
	var all []*workload
	for _, k := range kinds {
		if there, err := c.serves(ctx, k); err != nil || !there {
			if err != nil {
				return nil, err
			}
			continue
		}
		q := request{op: "list the " + k.resource + " of namespace " + namespace, kind: k.title + "List", path: k.path(namespace, ""),
			need: need{verbs: []string{"list", "get", "patch"}, group: k.group, resource: k.resource, namespace: namespace}}
		some, err := listAll[*workload](ctx, c, q, labels)
		if err != nil {
			return nil, err
		}
		for _, w := range some {
			w.kind = k
		}
		all = append(all, some...)
	}
	return all, nil
}
