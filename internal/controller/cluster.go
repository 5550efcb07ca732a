package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/controller/manifests"
)

// The resources that the controller reads or writes.
var (
	rotatingSecrets    = own("rotatingsecrets")
	connections        = own("connections")
	clusterConnections = own("clusterconnections")
	namespaces         = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	secrets            = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	events             = schema.GroupVersionResource{Version: "v1", Resource: "events"}
	leases             = schema.GroupVersionResource{Group: "coordination.k8s.io", Version: "v1", Resource: "leases"}
)

func own(resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: manifests.Group, Version: manifests.Version, Resource: resource}
}

// Login is how the controller logs in to its cluster: with a kubeconfig, or with the
// service account of its pod if path is "".
func Login(path string) (*rest.Config, error) {
	cfg, err := rest.InClusterConfig()
	if path != "" {
		cfg, err = clientcmd.BuildConfigFromFlags("", path)
	}
	if err != nil {
		if errors.Is(err, rest.ErrNotInCluster) {
			return nil, rota.WithRemedies(errors.New("this isn't a pod of a cluster"), rota.Command("--kubeconfig FILE"))
		}
		return nil, fmt.Errorf("log in to the cluster: %w", err)
	}
	cfg.QPS, cfg.Burst, cfg.UserAgent = 50, 100, "rota"
	return cfg, nil
}

// follower keeps a copy of some of the cluster's objects, which it goes on having while
// the API server can't be reached.
type follower struct {
	informer cache.SharedIndexInformer
	since    time.Time
	stop     context.CancelFunc
}

// follow starts to follow a kind of objects: all of them, or the one with a name in a
// namespace. changed is called with each change; before or after is nil for objects
// that come and go.
func follow(ctx context.Context, client dynamic.Interface, of schema.GroupVersionResource, namespace, name string, changed func(before, after *unstructured.Unstructured)) (*follower, error) {
	resource := client.Resource(of).Namespace(namespace)
	only := func(o metav1.ListOptions) metav1.ListOptions {
		if name != "" {
			o.FieldSelector = fields.OneTermEqualSelector("metadata.name", name).String()
		}
		return o
	}
	informer := cache.NewSharedIndexInformer(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return resource.List(ctx, only(o))
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return resource.Watch(ctx, only(o))
		},
	}, &unstructured.Unstructured{}, 0, cache.Indexers{})
	if err := informer.SetTransform(func(in any) (any, error) {
		if u, ok := in.(*unstructured.Unstructured); ok {
			u.SetManagedFields(nil) // half of the memory, and of no use here
		}
		return in, nil
	}); err != nil {
		return nil, err
	}
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(after any) { changed(nil, object(after)) },
		UpdateFunc: func(before, after any) { changed(object(before), object(after)) },
		DeleteFunc: func(before any) { changed(object(before), nil) },
	}); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	go informer.RunWithContext(ctx)
	return &follower{informer, time.Now(), stop}, nil
}

// object is the object that an informer reports.
func object(reported any) *unstructured.Unstructured {
	if gone, ok := reported.(cache.DeletedFinalStateUnknown); ok {
		reported = gone.Obj
	}
	u, _ := reported.(*unstructured.Unstructured)
	return u
}

// all returns the objects. They're shared: copy one before changing it.
func (f *follower) all() []*unstructured.Unstructured {
	var all []*unstructured.Unstructured
	for _, o := range f.informer.GetStore().List() {
		if u := object(o); u != nil {
			all = append(all, u)
		}
	}
	return all
}

// get returns one object, or nil.
func (f *follower) get(namespace, name string) *unstructured.Unstructured {
	key := name
	if namespace != "" {
		key = namespace + "/" + name
	}
	o, found, err := f.informer.GetStore().GetByKey(key)
	if err != nil || !found {
		return nil
	}
	return object(o)
}

// values are the Secrets that references name. Each is followed by itself, so that
// Rota needs to read no others.
type values struct {
	ctx     context.Context
	client  dynamic.Interface
	changed func()

	mu       sync.Mutex
	followed map[string]*follower // by namespace/name
}

// firstSync is how long a Secret's first value may take after it was first wanted. All of
// them are wanted at once, so that those which may not be read hold up nobody for long.
const firstSync = 10 * time.Second

// get returns the value of a Secret's key.
func (v *values) get(namespace, name, key string) (string, error) {
	f, err := v.follow(namespace, name)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithDeadline(v.ctx, f.since.Add(firstSync))
	defer cancel()
	if !f.informer.HasSynced() && !cache.WaitForCacheSync(ctx.Done(), f.informer.HasSynced) {
		return "", rota.WithRemedies(fmt.Errorf("secret %s of namespace %s didn't arrive within %s", name, namespace, firstSync), rota.Outside("let Rota's service account list and watch secrets named "+name+" in this namespace"))
	}
	secret := f.get(namespace, name)
	if secret == nil {
		return "", rota.WithRemedies(fmt.Errorf("namespace %s has no Secret %s", namespace, name), rota.Outside("create it"))
	}
	value, found, err := secretValue(secret, key)
	if err != nil || !found {
		return "", rota.WithRemedies(fmt.Errorf("secret %s of namespace %s has no key %s", name, namespace, key), rota.Outside("add it"))
	}
	return value, nil
}

func (v *values) follow(namespace, name string) (*follower, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	id := namespace + "/" + name
	if f := v.followed[id]; f != nil {
		return f, nil
	}
	f, err := follow(v.ctx, v.client, secrets, namespace, name, func(_, _ *unstructured.Unstructured) { v.changed() })
	if err == nil {
		v.followed[id] = f
	}
	return f, err
}

// keep follows these Secrets and no others.
func (v *values) keep(ids []string) error {
	wanted := map[string]bool{}
	var errs []error
	for _, id := range ids {
		wanted[id] = true
		namespace, name, _ := strings.Cut(id, "/")
		_, err := v.follow(namespace, name)
		errs = append(errs, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for id, f := range v.followed {
		if !wanted[id] {
			f.stop()
			delete(v.followed, id)
		}
	}
	return errors.Join(errs...)
}

// quietly gives client-go's messages to a log.
func (c *Controller) quietly(ctx context.Context) context.Context {
	return logr.NewContext(ctx, logr.FromSlogHandler(c.Log.Handler()))
}
