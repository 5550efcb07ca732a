package kubernetes

import (
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// object is what all objects of a cluster have in common.
type object struct {
	Metadata metadata `json:"metadata"`
}

// metadata is as much of an object's as Rota looks at.
type metadata struct {
	Name              string            `json:"name"`
	Namespace         string            `json:"namespace"`
	UID               string            `json:"uid"`
	ResourceVersion   string            `json:"resourceVersion"`
	Generation        int64             `json:"generation"`
	CreationTimestamp time.Time         `json:"creationTimestamp"`
	DeletionTimestamp *time.Time        `json:"deletionTimestamp"`
	Labels            map[string]string `json:"labels"`
	Annotations       map[string]string `json:"annotations"`
	OwnerReferences   []owner           `json:"ownerReferences"`
	ManagedFields     []managedFields   `json:"managedFields"`
}

// owner is what an object was made by.
type owner struct {
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	Controller bool   `json:"controller"`
}

// controller is what keeps an object as it wants it, false if nothing does.
func (m metadata) controller() (owner, bool) {
	for _, o := range m.OwnerReferences {
		if o.Controller {
			return o, true
		}
	}
	return owner{}, false
}

// managedFields are the fields of an object that one manager has written last.
type managedFields struct {
	Manager     string          `json:"manager"`
	Operation   string          `json:"operation"`
	Time        time.Time       `json:"time"`
	Subresource string          `json:"subresource"`
	Fields      json.RawMessage `json:"fieldsV1"`
}

// keys are the names below a top-level field, such as data, that the manager owns.
func (m managedFields) keys(field string) []string {
	var fields map[string]json.RawMessage
	var below map[string]json.RawMessage
	if json.Unmarshal(m.Fields, &fields) != nil || json.Unmarshal(fields["f:"+field], &below) != nil {
		return nil
	}
	var keys []string
	for name := range below {
		if key, ok := strings.CutPrefix(name, "f:"); ok {
			keys = append(keys, key)
		}
	}
	return keys
}

// mine reports whether these are the fields that Rota has applied.
func (m managedFields) mine() bool {
	return m.Manager == manager && m.Operation == "Apply" && m.Subresource == ""
}

// need is a rule that RBAC must have for a call.
type need struct {
	verbs           []string
	group, resource string
	name, namespace string // "" for any, and for the cluster
	why             string
	occasion        provider.Occasion
}

// String is the rule for people: "get and patch secrets.orders in namespace shop".
func (n need) String() string {
	text := strings.Join(n.verbs, ", ") + " " + n.thing()
	if n.namespace != "" {
		text += " in namespace " + n.namespace
	}
	return text
}

// thing is what the rule is about, as kubectl auth can-i has it.
func (n need) thing() string {
	text := n.resource
	if n.group != "" {
		text = strings.Replace(text, "/", "."+n.group+"/", 1)
		if !strings.Contains(text, "/") {
			text += "." + n.group
		}
	}
	if n.name != "" {
		text += " " + n.name
	}
	return text
}

func (n need) permission() provider.Permission {
	resource := n.thing()
	if n.namespace != "" {
		resource += " in namespace " + n.namespace
	}
	return provider.Permission{Action: strings.Join(n.verbs, ", "), Resource: resource, Why: n.why, For: n.occasion, Detail: n}
}

// permissions are needs as package provider has them, with that of every connection.
func permissions(needs ...need) []provider.Permission {
	var out []provider.Permission
	for _, n := range append(needs, identityNeed) {
		out = append(out, n.permission())
	}
	return out
}

// pathOf is the path of objects of a namespace, or of one of them.
func pathOf(group, namespace, resource, name string) string {
	base := "/api/v1"
	if group != "" {
		base = "/apis/" + group + "/v1"
	}
	return path.Join(base, "namespaces", namespace, resource, name)
}

var (
	// nameLabel is what a namespace can be called, and nameSubdomain most other things.
	nameLabel     = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	nameSubdomain = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	// secretKey is what a key of a Secret can be called.
	secretKey = regexp.MustCompile(`^[-._a-zA-Z0-9]{1,253}$`)
)

func goodNamespace(name string) bool { return nameLabel.MatchString(name) }

func goodName(name string) bool { return len(name) <= 253 && nameSubdomain.MatchString(name) }

func goodKey(key string) bool {
	return secretKey.MatchString(key) && key != "." && !strings.HasPrefix(key, "..")
}

// badKey is the error of a key that a Secret can't have.
func badKey(key string) error {
	return rota.WithRemedies(fmt.Errorf("a Secret can't have a key %q", key), rota.Configure("", "letters, digits, - _ and ., at most 253, and not beginning with two dots"))
}
