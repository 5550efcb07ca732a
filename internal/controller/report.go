package controller

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/controller/manifests"
	"github.com/rota-dev/rota/internal/hint"
)

// report keeps the statuses of the resources up to date while this replica leads.
func (c *Controller) report(ctx context.Context, d Daemon) {
	tick := time.NewTicker(c.ReportEvery)
	defer tick.Stop()
	said := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		file, docs, err := d.Status(ctx)
		if err == nil {
			s := c.adopt(file)
			if s != nil && c.elector.leads.Load() {
				err = c.write(ctx, d, s, docs)
			}
		}
		if err == nil {
			said = ""
		} else if text := err.Error(); text != said && ctx.Err() == nil {
			c.Log.WarnContext(ctx, "statuses can't be reported", "error", err)
			said = text
		}
	}
}

// write writes the statuses that differ.
func (c *Controller) write(ctx context.Context, d Daemon, s *snapshot, docs map[string]api.StatusSecretDoc) error {
	var failed error
	maps.DeleteFunc(c.wrote, func(id, _ string) bool { return s.parts[id] == nil })
	for id, p := range s.parts {
		resource, live := c.find(p)
		if live == nil || live.GetUID() != p.object.GetUID() || ctx.Err() != nil {
			continue
		}
		if c.wrote[id] == live.GetResourceVersion() {
			continue // what was written then hasn't come back yet
		}
		seen := &part{Resource: p.Resource, object: p.object.DeepCopy(), wrong: p.wrong}
		seen.object.Object["status"] = live.Object["status"]
		c.mu.Lock()
		valid := c.last[id]
		c.mu.Unlock()
		status := s.status(seen, docs[p.Key()], valid, time.Now())
		if err := c.request(ctx, d, s, p, live, status); err != nil {
			failed = cmp.Or(failed, fmt.Errorf("%s: %w", id, err))
		}
		before, _, _ := unstructured.NestedMap(live.Object, "status")
		if reflect.DeepEqual(before, status) {
			continue
		}
		next := live.DeepCopy()
		next.Object["status"] = status
		_, err := c.client.Resource(resource).Namespace(p.Namespace).UpdateStatus(ctx, next, metav1.UpdateOptions{})
		switch {
		case err == nil:
			c.wrote[id] = live.GetResourceVersion()
			c.turned(ctx, live, next)
		case apierrors.IsNotFound(err), apierrors.IsConflict(err): // it's looked at again
			c.Log.DebugContext(ctx, "a status will be written again", "about", id, "error", err)
		case failed == nil:
			failed = fmt.Errorf("%s: %w", id, err)
		}
		if err != nil && !isStatus(err) {
			return failed // the API server doesn't answer
		}
	}
	return failed
}

// rotateAnnotation asks for a rotation whenever its value changes.
const rotateAnnotation = manifests.Group + "/rotate"

// request passes on that somebody asked for a rotation. The status says which request
// was passed on last. If that's lost, the same request is no second one: its token is
// made of its value.
func (c *Controller) request(ctx context.Context, d Daemon, s *snapshot, p *part, live *unstructured.Unstructured, status map[string]any) error {
	asked := live.GetAnnotations()[rotateAnnotation]
	done, _, _ := unstructured.NestedString(live.Object, "status", "requested")
	if done != "" {
		status["requested"] = done
	}
	if p.Kind != config.RotatingSecret || asked == "" || asked == done || len(s.Invalid[p.ID()]) > 0 {
		return nil
	}
	token := sha256.Sum256([]byte(string(live.GetUID()) + "\x00" + asked))
	if err := d.Rotate(ctx, p.Key(), hex.EncodeToString(token[:])); err != nil {
		return err
	}
	status["requested"] = asked
	return nil
}

// isStatus reports whether an API server has answered. It needn't give a reason: it has
// none for an object that's too large for etcd.
func isStatus(err error) bool {
	_, is := errors.AsType[*apierrors.StatusError](err)
	return is
}

// find returns a resource as it is now; nil if it's gone.
func (c *Controller) find(p *part) (schema.GroupVersionResource, *unstructured.Unstructured) {
	switch p.Kind {
	case config.RotatingSecret:
		return rotatingSecrets, c.rotatingSecrets.get(p.Namespace, p.Name)
	case config.NamespacedLogin:
		return connections, c.connections.get(p.Namespace, p.Name)
	case config.ClusterConnection:
	}
	return clusterConnections, c.clusterConnections.get("", p.Name)
}

// turned makes events of what only the conditions show.
func (c *Controller) turned(ctx context.Context, before, after *unstructured.Unstructured) {
	now := condition(after, "Rotating")
	if now["status"] == "True" && condition(before, "Rotating")["status"] != "True" {
		c.tell(ctx, after, event{id: "rotating " + fmt.Sprint(now["lastTransitionTime"]), reason: "Rotating", message: "a new credential is on its way", at: time.Now()})
	}
	ready, was := condition(after, "Ready"), condition(before, "Ready")
	if ready["reason"] == reasonInvalid && (was["reason"] != reasonInvalid || was["message"] != ready["message"]) {
		c.tell(ctx, after, event{id: "invalid " + fmt.Sprint(ready["message"]), reason: reasonInvalid, message: fmt.Sprint(ready["message"]), at: time.Now(), warns: true})
	}
}

func (c *Controller) tell(ctx context.Context, about *unstructured.Unstructured, e event) {
	if err := c.post(ctx, about, e); err != nil && ctx.Err() == nil {
		c.Log.WarnContext(ctx, "an event can't be written", "about", about.GetNamespace()+"/"+about.GetName(), "error", err)
	}
}

// event is an Event of Kubernetes.
type event struct {
	id, reason, message string
	at                  time.Time
	warns               bool
}

// post writes an event about an object. The same one twice is one: its name says which
// it is.
func (c *Controller) post(ctx context.Context, about *unstructured.Unstructured, e event) error {
	namespace := about.GetNamespace()
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	hash := sha256.Sum256([]byte(string(about.GetUID()) + "\x00" + e.id))
	kind, at := "Normal", e.at.UTC().Format(time.RFC3339)
	if e.warns {
		kind = "Warning"
	}
	o := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Event",
		"metadata": map[string]any{"namespace": namespace, "name": clip(about.GetName(), 200) + "." + hex.EncodeToString(hash[:8])},
		"involvedObject": map[string]any{
			"apiVersion": about.GetAPIVersion(), "kind": about.GetKind(), "namespace": about.GetNamespace(), "name": about.GetName(), "uid": string(about.GetUID()),
		},
		"type": kind, "reason": e.reason, "message": clip(e.message, 1000), "count": int64(1), "firstTimestamp": at, "lastTimestamp": at,
		"source": map[string]any{"component": "rota"}, "reportingComponent": "rota.dev/rota", "reportingInstance": c.Identity,
	}}
	_, err := c.client.Resource(events).Namespace(namespace).Create(ctx, o, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) || apierrors.HasStatusCause(err, "NamespaceTerminating") {
		return nil
	}
	return err
}

// Notifier tells of a RotatingSecret's events in the cluster; it's nil for a secret of
// rota.yaml.
func (c *Controller) Notifier(secret string) rota.Notifier {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range slices.Backward(c.loaded) { // the newest is the one that's being wired
		if p := s.keys[secret]; p != nil {
			return notifier{c, p}
		}
	}
	return nil
}

type notifier struct {
	controller *Controller
	part       *part
}

// Name implements [rota.Notifier].
func (n notifier) Name() string { return "kubernetes events" }

// warned are the events that somebody should look at.
var warned = map[rota.EventKind]bool{
	rota.EventHeld: true, rota.EventFailed: true, rota.EventQuarantined: true, rota.EventLate: true, rota.EventExpiring: true, rota.EventReminder: true, rota.EventRolledBack: true,
}

// Notify implements [rota.Notifier].
func (n notifier) Notify(ctx context.Context, e rota.Event) error {
	return n.controller.post(ctx, n.part.object, event{id: e.ID, reason: camel(string(e.Kind)), message: hint.Add(e.Reason, e.Remedies), at: e.At, warns: warned[e.Kind]})
}

// secretValue decodes the value of a Secret's key.
func secretValue(o *unstructured.Unstructured, key string) (string, bool, error) {
	data, _, err := unstructured.NestedStringMap(o.Object, "data")
	if err != nil {
		return "", false, err
	}
	text, found := data[key]
	value, err := base64.StdEncoding.DecodeString(text)
	return string(value), found, err
}
