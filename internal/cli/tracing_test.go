package cli_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/rota-dev/rota/internal/cli"
	"github.com/rota-dev/rota/provider/aws/awstest"
)

// receiver is an OpenTelemetry collector that keeps what it is sent.
type receiver struct {
	*httptest.Server

	mu      sync.Mutex
	service string
	spans   map[string]*otlp.Span // by id
	raw     bytes.Buffer
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{spans: map[string]*otlp.Span{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil || request.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", request.URL.Path, err)
		}
		var export collector.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &export); err != nil {
			t.Error(err)
		}
		r.take(body, &export)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) take(body []byte, export *collector.ExportTraceServiceRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.raw.Write(body)
	for _, resource := range export.ResourceSpans {
		for _, a := range resource.Resource.Attributes {
			if a.Key == "service.name" {
				r.service = a.Value.GetStringValue()
			}
		}
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				r.spans[string(s.SpanId)] = s
			}
		}
	}
}

// paths are the names of the spans, each below those that it is part of.
func (r *receiver) paths() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, s := range r.spans {
		path := s.Name
		for p := r.spans[string(s.ParentSpanId)]; p != nil; p = r.spans[string(p.ParentSpanId)] {
			path = p.Name + " > " + path
		}
		all = append(all, path)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// runTraced rotates one access key of an in-memory AWS by rota run, with the
// variables set. It gives the key's secret part, and what run says on stderr.
func runTraced(t *testing.T, variables map[string]string) (value, said string) {
	t.Helper()
	for name, value := range variables {
		t.Setenv(name, value)
	}
	cloud, err := awstest.New(awstest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cloud.Close)
	id, secret := cloud.RootCredentials()
	cloud.CreateUser("ci")
	dir := t.TempDir()
	file := filepath.Join(dir, "rota.yaml")
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	text := `
connections:
  aws: {aws: {region: eu-central-1, endpoint: "` + cloud.URL() + `", access_key_id: "` + id + `", secret_access_key: "${file:` + dir + `/key}"}}
secrets:
  - name: ci
    issuer: {connection: aws, iam_access_key: {user: ci}}
    policy: {rotate_every: 90d, deactivate_previous_after: 10d, delete_previous_after: 20d}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	rota := func(args ...string) (stdout, stderr string) {
		var out, said bytes.Buffer
		args = append(args, "--config", file, "--data-dir", filepath.Join(dir, "data"), "--log-level", "info", "--yes")
		if code := cli.Run(t.Context(), args, append(os.Environ(), "ROTA_LOG_FORMAT=json"), strings.NewReader(""), &out, &said); code != 0 {
			t.Fatalf("rota %s: exit code %d\n%s%s", args[0], code, out.String(), said.String())
		}
		return out.String(), said.String()
	}
	_, said = rota("run")
	value, _ = rota("get", "ci", "--field", "secret_access_key")
	return strings.TrimSpace(value), said
}

func TestTheTraceOfARunGetsToTheCollector(t *testing.T) {
	r := newReceiver(t)
	value, said := runTraced(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": r.URL, "OTEL_SERVICE_NAME": "rota-cron"})
	var got []string
	for _, path := range r.paths() {
		if strings.Contains(path, "create") || !strings.Contains(path, "step.") {
			got = append(got, path)
		}
	}
	want := []string{
		"rota run", "rota run > turn", "rota run > turn > issuer.list", "rota run > turn > step.create",
		"rota run > turn > step.create > issuer.create", "rota run > turn > step.create > store.put", "rota run > turn > store.describe",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	if r.service != "rota-cron" {
		t.Errorf("the service is %q", r.service)
	}
	if value == "" || bytes.Contains(r.raw.Bytes(), []byte(value)) {
		t.Error("the collector was sent the secret's value")
	}
	if !strings.Contains(said, `"trace_id":"`) {
		t.Errorf("the log's lines have no trace_id:\n%s", said)
	}
}

func TestNoCollectorNoTraceAndNoFailure(t *testing.T) {
	for name, endpoint := range map[string]string{
		"nobody listens": "http://127.0.0.1:1",
		"no URL":         "localhost",
	} {
		t.Run(name, func(t *testing.T) {
			_, said := runTraced(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})
			if !strings.Contains(said, `"level":"WARN"`) || !strings.Contains(said, "trace") {
				t.Errorf("the log does not tell of it:\n%s", said)
			}
		})
	}
	t.Run("none is named", func(t *testing.T) {
		_, said := runTraced(t, nil)
		if strings.Contains(said, "trace") {
			t.Errorf("the log speaks of traces:\n%s", said)
		}
	})
}
