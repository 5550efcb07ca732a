package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/rota-dev/rota"
)

// What Rota writes onto its Secrets, beside their values.
const (
	labelManaged      = "rota.dev/managed" // "true"
	annotationSecret  = "rota.dev/secret"  //nolint:gosec // an annotation's name
	annotationVersion = "rota.dev/version"
)

// Secret is a target: a Secret of a namespace.
type Secret struct {
	Target     string // the target's name in rota.yaml
	Connection *Connection
	Namespace  string
	// Object is the Secret's name there.
	Object string
	// Content says what's in it.
	Content Content
	// Adopt says that a Secret that Rota didn't make is taken over.
	Adopt bool
	// NoWait says that no pod is waited for before the old credential is retired.
	NoWait bool

	mu sync.Mutex // held while writing
}

var (
	_ rota.Target      = (*Secret)(nil)
	_ rota.Preflighter = (*Secret)(nil)
	_ rota.Accepter    = (*Secret)(nil)
)

// Name implements [rota.Target].
func (t *Secret) Name() string { return t.Target }

// String is the Secret for people.
func (t *Secret) String() string { return "Secret " + t.Namespace + "/" + t.Object }

// secret is a Secret as the API server has it.
type secret struct {
	Metadata  metadata          `json:"metadata"`
	Type      string            `json:"type"`
	Immutable bool              `json:"immutable"`
	Data      map[string][]byte `json:"data"`
}

// maxRaces is how often another writer may come in between.
const maxRaces = 8

// Deliver implements [rota.Target]. One server-side apply has all fields, and it holds
// only for the Secret as it was read: what somebody else does meanwhile is looked at
// again. Keys and labels of others stay, as Rota's apply doesn't name them.
func (t *Secret) Deliver(ctx context.Context, r rota.DeliverRequest) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	data, err := t.Content.render(r.Credential)
	if err != nil {
		return t.Connection.refuse("write "+t.String(), rota.Configure("fields", "what the Secret can hold"), err)
	}
	for range maxRaces {
		if err = t.deliver(ctx, r, data); !errors.Is(err, rota.ErrConflict) || rota.ClassOf(err) != rota.ClassWait {
			return err
		}
	}
	return err
}

func (t *Secret) deliver(ctx context.Context, r rota.DeliverRequest, data map[string][]byte) error {
	was, exists, err := t.Connection.readSecret(ctx, t.Namespace, t.Object)
	if err != nil {
		return err
	}
	if exists {
		if err := t.clash(was, r.Secret); err != nil {
			return err
		}
		if t.holds(was, r, data) {
			return ctx.Err()
		}
	}
	return t.apply(ctx, was, map[string]string{annotationSecret: r.Secret, annotationVersion: r.Version}, data, r.Credential, false)
}

// readSecret reads a Secret, which may not be there.
func (c *Connection) readSecret(ctx context.Context, namespace, name string) (s secret, exists bool, err error) {
	q := request{op: "read Secret " + namespace + "/" + name, kind: "Secret", need: readNeed(namespace, name), path: pathOf("", namespace, "secrets", name)}
	err = c.do(ctx, q, &s)
	if errors.Is(err, rota.ErrNotFound) {
		return secret{}, false, nil // of a namespace that isn't there, the write says so
	}
	return s, err == nil, err
}

// apply writes the Secret. One that was read must still be as it was then. One that
// wasn't there is made, and if somebody has made it meanwhile, nothing is overwritten:
// without force, the values of others are a conflict.
func (t *Secret) apply(ctx context.Context, was secret, annotations map[string]string, data map[string][]byte, c rota.Credential, dry bool) error {
	kept := map[string]any{"name": t.Object, "namespace": t.Namespace, "labels": map[string]string{labelManaged: "true"}, "annotations": annotations}
	query := url.Values{"fieldManager": {manager}}
	if was.Metadata.UID != "" {
		kept["uid"], kept["resourceVersion"] = was.Metadata.UID, was.Metadata.ResourceVersion
		query.Set("force", "true")
	}
	op := "write "
	if dry {
		op = "try to write "
		query.Set("dryRun", "All")
	}
	q := request{
		op: op + t.String(), kind: "Secret", need: writeNeed(t.Namespace, t.Object), method: http.MethodPatch, query: query, form: applyPatch, used: c,
		path: pathOf("", t.Namespace, "secrets", t.Object),
		body: map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": kept, "type": t.Content.kind(), "data": data},
	}
	var now secret
	if err := t.Connection.do(ctx, q, &now); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if !bytes.Equal(now.Data[key], data[key]) {
			return t.Connection.refuse(op+t.String(), rota.Outside("let no admission webhook change the Secrets that Rota writes: kubectl get mutatingwebhookconfigurations"),
				fmt.Errorf("its key %s isn't what was written: something in the cluster changes it on the way", key))
		}
	}
	return nil
}

// holds reports whether the Secret is as a delivery would leave it.
func (t *Secret) holds(was secret, r rota.DeliverRequest, data map[string][]byte) bool {
	if was.Metadata.Labels[labelManaged] != "true" || was.Metadata.Annotations[annotationSecret] != r.Secret || was.Metadata.Annotations[annotationVersion] != r.Version {
		return false
	}
	for key, value := range data {
		if there, ok := was.Data[key]; !ok || !bytes.Equal(there, value) {
			return false
		}
	}
	return slices.Equal(was.ours(), slices.Sorted(maps.Keys(data))) // it removes what's no longer wanted, too
}

// ours are the keys that Rota has applied, sorted.
func (s secret) ours() []string {
	var keys []string
	for _, m := range s.Metadata.ManagedFields {
		if m.mine() {
			keys = m.keys("data")
		}
	}
	slices.Sort(keys)
	return keys
}

// drifted are those of these keys that others have written since Rota did, each with who
// it was.
func (s secret) drifted(keys []string) []string {
	ours := s.ours()
	if s.Metadata.Labels[labelManaged] != "true" {
		return nil
	}
	var out []string
	for _, key := range keys {
		if slices.Contains(ours, key) {
			continue
		}
		by := "somebody"
		for _, m := range s.Metadata.ManagedFields {
			if slices.Contains(m.keys("data"), key) {
				by = m.Manager
			}
		}
		if _, there := s.Data[key]; !there {
			by = "nobody" // removed
		}
		out = append(out, key+" ("+by+")")
	}
	return out
}

// clash is the error if an existing Secret can't become what it should be, or isn't
// Rota's to change. secret is the name in rota.yaml; "" if it isn't known.
func (t *Secret) clash(was secret, secret string) error {
	op := "write " + t.String()
	refuse := func(hint, format string, args ...any) error {
		return t.Connection.refuse(op, rota.Outside(hint), fmt.Errorf(format, args...))
	}
	named := was.Metadata.Annotations[annotationSecret]
	controller, controlled := was.Metadata.controller()
	switch {
	case was.Metadata.DeletionTimestamp != nil:
		return &rota.Error{System: t.Connection.System(), Connection: t.Connection.name, Op: op, Class: rota.ClassWait, Err: errors.New("it's being deleted"),
			Remedies: rota.Outside("wait until it's gone, or remove the finalizer that keeps it")}
	case was.Immutable:
		return refuse("set secret to a new name in rota.yaml and refer to that in the workloads; or delete the Secret and create it again without immutable: true", "it's immutable")
	case controlled:
		return refuse("let Rota write to what "+controller.Kind+" reads instead; or set secret to another name in rota.yaml", "%s %s made it and would put its own values back", controller.Kind, controller.Name)
	case was.writer(t.Content.keys()) != "":
		writer := was.writer(t.Content.keys())
		return refuse("let Rota write to what "+writer+" reads instead, or end that; or set secret to another name in rota.yaml", "%s writes it, too, and would put its own values back", writer)
	case was.Type != t.Content.kind():
		return refuse("set type: "+was.Type+" in rota.yaml, or delete the Secret: a Secret's type can't be changed", "its type is %s, and rota.yaml says %s", was.Type, t.Content.kind())
	case was.Metadata.Labels[labelManaged] != "true" && !t.Adopt:
		return t.Connection.refuse(op, rota.Configure("adopt", "adopt: true, to let Rota take it over; or set secret to a name that's free"), errors.New("Rota didn't create it")) //nolint:staticcheck // a name
	case secret != "" && named != "" && named != secret && !t.Adopt:
		return t.Connection.refuse(op, rota.Configure("adopt", "adopt: true, if the secret was renamed in rota.yaml; otherwise another Rota writes it, too"), fmt.Errorf("it belongs to Rota's secret %s", named))
	}
	return nil
}

// Accept implements [rota.Accepter].
func (t *Secret) Accept(c rota.Credential) error {
	if _, err := t.Content.render(c); err != nil {
		return t.Connection.refuse("write "+t.String(), rota.Configure("fields", "what the Secret can hold"), rota.Sanitize(err, c))
	}
	return nil
}

// values are a Secret's, for taking them out of what a program has printed.
func (s secret) values() rota.Credential {
	fields := map[string]string{}
	for key, value := range s.Data {
		if key == rota.FieldUsername { // anybody may know it
			continue
		}
		fields["data "+key] = string(value)
		var document map[string]any
		if json.Unmarshal(value, &document) == nil {
			collect(fields, key, document)
		}
	}
	return rota.NewCredential(fields)
}

// collect adds the texts of a document, such as the password in a Docker config.
func collect(fields map[string]string, path string, v any) {
	switch v := v.(type) {
	case string:
		fields["data "+path] = strings.TrimSpace(v)
	case map[string]any:
		for key, one := range v {
			collect(fields, path+"."+key, one)
		}
	}
}
