//go:build unix

package testenv

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// ExternalSecrets is a stand-in for the External Secrets Operator, which can't be had as a
// Go module. It does what the real one was seen to do, as far as tests look at it: it reads
// AWSCURRENT with AWS's own SDK, at the endpoint that the operator's environment would
// name; writes the Secret that it owns under a field manager with the ExternalSecret's
// name; puts it back if somebody edits it; and syncs at once when an annotation changes,
// otherwise never, as if every refreshInterval were long.
type ExternalSecrets struct {
	server   *KubernetesServer
	endpoint string
	cancel   context.CancelFunc
	done     sync.WaitGroup
	synced   map[string]string // what an ExternalSecret was like when it was synced, by uid
}

// StartExternalSecrets makes the custom resources, and runs the operator until the test's
// end. endpoint is its AWS_SECRETSMANAGER_ENDPOINT.
func (s *KubernetesServer) StartExternalSecrets(t testing.TB, endpoint string) {
	t.Helper()
	s.ExternalSecretsCRDs(t)
	ctx, cancel := context.WithCancel(context.Background())
	o := &ExternalSecrets{server: s, endpoint: endpoint, cancel: cancel, synced: map[string]string{}}
	o.done.Go(func() { o.run(ctx) })
	t.Cleanup(func() {
		o.cancel()
		o.done.Wait()
	})
}

// ExternalSecretsCRDs makes stand-ins for the operator's custom resources, with the fields
// that its documentation has for AWS, and waits until they're served.
func (s *KubernetesServer) ExternalSecretsCRDs(t testing.TB) {
	t.Helper()
	const key = `{type: object, properties: {name: {type: string}, namespace: {type: string}, key: {type: string}}}`
	const remote = `{type: object, required: [key], properties: {key: {type: string}, property: {type: string}, version: {type: string}, decodingStrategy: {type: string, enum: [Auto, Base64, Base64URL, None]}}}`
	const texts = `{type: object, additionalProperties: {type: string}}`
	stores := `{type: object, required: [provider], properties: {controller: {type: string}, conditions: {type: array, items: {type: object, properties: {namespaces: {type: array, items: {type: string}}}}},
      provider: {type: object, maxProperties: 1, minProperties: 1, properties: {aws: {type: object, required: [service, region], properties: {
        service: {type: string, enum: [SecretsManager, ParameterStore]}, region: {type: string}, role: {type: string}, auth: {type: object, properties: {
          secretRef: {type: object, properties: {accessKeyIDSecretRef: ` + key + `, secretAccessKeySecretRef: ` + key + `}},
          jwt: {type: object, properties: {serviceAccountRef: {type: object, required: [name], properties: {name: {type: string}, namespace: {type: string}}}}}}}}}}}}}`
	secrets := `{type: object, properties: {refreshInterval: {type: string}, refreshPolicy: {type: string, enum: [CreatedOnce, Periodic, OnChange]}, secretStoreRef: {type: object, properties: {name: {type: string}, kind: {type: string, enum: [SecretStore, ClusterSecretStore]}}},
      target: {type: object, properties: {name: {type: string}, creationPolicy: {type: string, enum: [Owner, Orphan, Merge, None]}, immutable: {type: boolean},
        template: {type: object, properties: {type: {type: string}, mergePolicy: {type: string, enum: [Replace, Merge]}, data: ` + texts + `, metadata: {type: object, properties: {labels: ` + texts + `, annotations: ` + texts + `}}}}}},
      data: {type: array, items: {type: object, required: [secretKey, remoteRef], properties: {secretKey: {type: string}, remoteRef: ` + remote + `}}},
      dataFrom: {type: array, items: {type: object, properties: {extract: ` + remote + `}}}}}`
	for plural, crd := range map[string]struct{ kind, scope, spec string }{
		"externalsecrets": {"ExternalSecret", "Namespaced", secrets}, "clustersecretstores": {"ClusterSecretStore", "Cluster", stores}, "secretstores": {"SecretStore", "Namespaced", stores},
	} {
		version := func(name string, stored bool) string {
			return fmt.Sprintf("{name: %s, served: true, storage: %t, subresources: {status: {}}, schema: {openAPIV3Schema: {type: object, properties: {spec: %s, status: {type: object, x-kubernetes-preserve-unknown-fields: true}}}}}", name, stored, crd.spec)
		}
		text := fmt.Sprintf("apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: %s.external-secrets.io}\nspec: {group: external-secrets.io, scope: %s, names: {kind: %s, plural: %[1]s, singular: %[4]s}, versions: [%[5]s, %[6]s]}\n",
			plural, crd.scope, crd.kind, strings.ToLower(crd.kind), version("v1", true), version("v1beta1", false))
		if err := s.Try(t.Context(), http.MethodPost, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", text, nil); err != nil && !strings.Contains(err.Error(), "409") {
			t.Fatal(err)
		}
		s.served(t, "/apis/external-secrets.io/v1/"+plural)
		s.served(t, "/apis/external-secrets.io/v1beta1/"+plural)
	}
	s.served(t, "/apis/external-secrets.io")
}

// served waits until the API server answers at a path.
func (s *KubernetesServer) served(t testing.TB, path string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		err := s.Try(t.Context(), http.MethodGet, path, nil, nil)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// esoRef is what an ExternalSecret reads.
type esoRef struct{ Key, Property, Version string }

// eso is an ExternalSecret, as far as the stand-in looks at it.
type eso struct {
	Metadata struct {
		Name, Namespace, UID string
		Generation           int
		Annotations          map[string]string
	}
	Spec struct {
		SecretStoreRef struct{ Name string }
		Target         struct{ Name string }
		Data           []struct {
			SecretKey string
			RemoteRef esoRef
		}
		DataFrom []struct{ Extract esoRef }
	}
}

func (o *ExternalSecrets) run(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		var list struct{ Items []eso }
		if o.server.Try(ctx, http.MethodGet, "/apis/external-secrets.io/v1/externalsecrets", nil, &list) == nil {
			for _, e := range list.Items {
				o.look(ctx, e)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look syncs an ExternalSecret if it, or the Secret that it owns, has changed.
func (o *ExternalSecrets) look(ctx context.Context, e eso) {
	name := e.Spec.Target.Name
	if name == "" {
		name = e.Metadata.Name
	}
	at := "/api/v1/namespaces/" + e.Metadata.Namespace + "/secrets/" + name
	var there struct {
		Metadata struct{ ResourceVersion string }
	}
	exists := o.server.Try(ctx, http.MethodGet, at, nil, &there) == nil
	state := fmt.Sprint(e.Metadata.Generation, e.Metadata.Annotations)
	if exists && o.synced[e.Metadata.UID] == state+there.Metadata.ResourceVersion {
		return
	}
	data, err := o.read(ctx, e)
	ready := map[string]any{"type": "Ready", "status": "True", "reason": "SecretSynced", "message": "secret synced"}
	if err != nil {
		ready = map[string]any{"type": "Ready", "status": "False", "reason": "SecretSyncedError", "message": err.Error()}
	} else {
		object := map[string]any{"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": data, "metadata": map[string]any{"name": name, "namespace": e.Metadata.Namespace,
			"ownerReferences": []map[string]any{{"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "name": e.Metadata.Name, "uid": e.Metadata.UID, "controller": true}}}}
		manager := "?fieldManager=externalsecrets.external-secrets.io/" + e.Metadata.Name
		if exists {
			err = o.server.Try(ctx, http.MethodPut, at+manager, object, &there)
		} else {
			err = o.server.Try(ctx, http.MethodPost, strings.TrimSuffix(at, "/"+name)+manager, object, &there)
		}
		if err == nil {
			o.synced[e.Metadata.UID] = state + there.Metadata.ResourceVersion
		}
	}
	_ = o.server.Try(ctx, http.MethodPatch, "/apis/external-secrets.io/v1/namespaces/"+e.Metadata.Namespace+"/externalsecrets/"+e.Metadata.Name+"/status", map[string]any{"status": map[string]any{"conditions": []any{ready}}}, nil)
}

// read is what the Secret should hold.
func (o *ExternalSecrets) read(ctx context.Context, e eso) (map[string][]byte, error) {
	type key struct{ Name, Namespace, Key string }
	var store struct {
		Spec struct {
			Provider struct {
				AWS struct {
					Region string
					Auth   struct {
						SecretRef struct{ AccessKeyIDSecretRef, SecretAccessKeySecretRef key }
					}
				}
			}
		}
	}
	if err := o.server.Try(ctx, http.MethodGet, "/apis/external-secrets.io/v1/clustersecretstores/"+e.Spec.SecretStoreRef.Name, nil, &store); err != nil {
		return nil, err
	}
	value := func(k key) string {
		var s struct{ Data map[string][]byte }
		_ = o.server.Try(ctx, http.MethodGet, "/api/v1/namespaces/"+k.Namespace+"/secrets/"+k.Name, nil, &s)
		return string(s.Data[k.Key])
	}
	ref := store.Spec.Provider.AWS.Auth.SecretRef
	client := secretsmanager.New(secretsmanager.Options{
		BaseEndpoint: aws.String(o.endpoint), Region: store.Spec.Provider.AWS.Region, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(value(ref.AccessKeyIDSecretRef), value(ref.SecretAccessKeySecretRef), ""),
	})
	get := func(r esoRef) (text string, fields map[string]string, err error) {
		in := &secretsmanager.GetSecretValueInput{SecretId: aws.String(r.Key), VersionStage: aws.String("AWSCURRENT")}
		if r.Version != "" {
			in.VersionStage = aws.String(r.Version)
		}
		v, err := client.GetSecretValue(ctx, in)
		if err != nil {
			return "", nil, err
		}
		if err := json.Unmarshal([]byte(aws.ToString(v.SecretString)), &fields); err != nil && r.Property != "" {
			return "", nil, fmt.Errorf("%s isn't JSON", r.Key)
		}
		return aws.ToString(v.SecretString), fields, nil
	}
	data := map[string][]byte{}
	for _, from := range e.Spec.DataFrom {
		_, fields, err := get(from.Extract)
		if err != nil {
			return nil, err
		}
		for name, value := range fields {
			data[name] = []byte(value)
		}
	}
	for _, one := range e.Spec.Data {
		text, fields, err := get(one.RemoteRef)
		if err != nil {
			return nil, err
		}
		if one.RemoteRef.Property != "" {
			text = fields[one.RemoteRef.Property]
		}
		data[one.SecretKey] = []byte(text)
	}
	return data, nil
}
