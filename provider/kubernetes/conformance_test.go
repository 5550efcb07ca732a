package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/providertest"
)

// policy is what rota policy kubernetes prints for these parts.
func (c *cluster) policy(parts ...any) string {
	c.t.Helper()
	g := provider.Grant{Name: c.namespace, Title: "connection main"}
	for _, p := range parts {
		g.Permissions = append(g.Permissions, p.(provider.Permitter).Permissions()...)
	}
	text, err := document([]provider.Grant{g}, c.namespace+"/rota")
	if err != nil {
		c.t.Fatal(err)
	}
	return string(text)
}

func TestTheSecretConforms(t *testing.T) {
	for name, content := range map[string]Content{
		"a pair":                 {Fields: fields(t, map[string]string{"id": rota.FieldAccessKeyID, "key": rota.FieldSecretAccessKey})},
		"the fields as they are": {},
		"basic auth":             {Type: TypeBasicAuth, Fields: fields(t, map[string]string{"username": rota.FieldAccessKeyID, "password": rota.FieldSecretAccessKey})},
	} {
		t.Run(name, func(t *testing.T) {
			providertest.Target(t, func(t *testing.T) providertest.TargetFixture {
				c := start(t)
				connection, faults := c.faulty()
				target := &Secret{Target: "cluster", Connection: connection, Namespace: c.namespace, Object: "orders", Content: content}
				return providertest.TargetFixture{
					Target: target, Inject: faults.Inject(map[string]string{"deliver": http.MethodPatch + " /secrets/", "deliver hangs": http.MethodGet + " /secrets/"}),
					Read: func() (rota.Credential, bool, error) {
						var s secret
						err := c.Try(context.Background(), http.MethodGet, pathOf("", c.namespace, "secrets", "orders"), nil, &s)
						if err != nil && strings.Contains(err.Error(), "404") {
							return rota.Credential{}, false, nil
						}
						values := map[string]string{}
						for key, value := range s.Data {
							values[key] = string(value)
						}
						return content.Fields.Read(values), len(values) > 0, err
					},
					Writes: func() int {
						n := 0
						for _, r := range faults.Requests() {
							if strings.HasPrefix(r, http.MethodPatch) {
								n++
							}
						}
						return n
					},
				}
			})
		})
	}
}

func TestTheRestartConforms(t *testing.T) {
	providertest.Reloader(t, func(t *testing.T) providertest.ReloaderFixture {
		c := start(t)
		connection, faults := c.faulty()
		target := &Secret{Target: "cluster", Connection: c.admin(), Namespace: c.namespace, Object: "orders", Content: Content{Fields: fields(t, map[string]string{"password": "password"})}}
		deliver := func(version string) error {
			return target.Deliver(context.Background(), rota.DeliverRequest{Secret: "prod/orders", Version: version, Credential: rota.NewCredential(map[string]string{"password": "hunter2-" + version})})
		}
		if err := deliver("first"); err != nil {
			t.Fatal(err)
		}
		c.workload("Deployment", "orders", 2, byEnv, "", "")
		c.healthy("Deployment", "orders")
		r := &delivering{Restart: &Restart{Reloader: "orders", Connection: connection, Namespace: c.namespace, Secret: "orders", Gather: -1, Poll: 10 * time.Millisecond, Timeout: 20 * time.Second}, deliver: deliver}
		return providertest.ReloaderFixture{
			Reloader: r,
			Inject:   faults.Inject(map[string]string{"reload": http.MethodPatch + " /deployments/", "reload hangs": http.MethodGet + " /deployments"}),
			Running: func() (string, error) {
				return c.running("orders")
			},
			Sicken: func() { c.Kubelet.Become(c.namespace, testenv.PodCrashes) },
		}
	})
}

// delivering writes each version before it's reloaded, as a rotation does.
type delivering struct {
	*Restart
	deliver func(version string) error
}

func (d *delivering) Reload(ctx context.Context, r rota.ReloadRequest) error {
	if err := d.deliver(r.Version); err != nil {
		return err
	}
	return d.Restart.Reload(ctx, r)
}

// running is the version of the Secret that all of a Deployment's pods began with: the
// restart names the Secret's state that it was for.
func (c *cluster) running(name string) (string, error) {
	s := c.secret(name)
	pods, err := c.admin().listPods(context.Background(), c.namespace, "app="+name)
	if err != nil || len(pods) == 0 {
		return "", fmt.Errorf("%d pods: %w", len(pods), err)
	}
	for _, p := range pods {
		var r restarted
		if text := p.Metadata.Annotations[annotationRestart]; text == "" || json.Unmarshal([]byte(text), &r) != nil || r.For[name] != s.Metadata.ResourceVersion {
			return "", errors.New("pod " + p.Metadata.Name + " began before")
		}
	}
	return s.Metadata.Annotations[annotationVersion], nil
}

var connections atomic.Int64

func TestErrorsOfTheAPIServer(t *testing.T) {
	providertest.HTTPErrors(t, providertest.HTTPFixture{
		System: "kubernetes main", Secret: "token-canary-8Xq2", Authority: "certificate-authority",
		Call: func(ctx context.Context, url string) error {
			kubeconfig := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: c%d\nclusters: [{name: c, cluster: {server: %q}}]\nusers: [{name: u, user: {token: token-canary-8Xq2}}]\ncontexts: [{name: c%[1]d, context: {cluster: c, user: u}}]\n",
				connections.Add(1), url)
			_, err := dial(t, Config{Kubeconfig: write(t, "kubeconfig", kubeconfig)}).Identity(ctx)
			return err
		},
	})
}
