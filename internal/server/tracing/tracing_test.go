package tracing_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/server/tracing"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// recorder keeps the spans of a test.
func recorder() (*tracing.Tracing, *tracetest.InMemoryExporter) {
	spans := tracetest.NewInMemoryExporter()
	return tracing.New(sdk.NewTracerProvider(sdk.WithSyncer(spans))), spans
}

// tree prints spans as lines, each below its parent.
func tree(spans tracetest.SpanStubs) string {
	children := map[trace.SpanID]tracetest.SpanStubs{}
	for _, s := range spans {
		children[s.Parent.SpanID()] = append(children[s.Parent.SpanID()], s)
	}
	var b strings.Builder
	var write func(parent trace.SpanID, depth int)
	write = func(parent trace.SpanID, depth int) {
		slices.SortStableFunc(children[parent], func(x, y tracetest.SpanStub) int { return x.StartTime.Compare(y.StartTime) })
		for _, s := range children[parent] {
			fmt.Fprintf(&b, "%s%s", strings.Repeat("  ", depth), s.Name)
			for _, a := range s.Attributes {
				if a.Key != "rota.secret" {
					fmt.Fprintf(&b, " %s=%s", strings.TrimPrefix(string(a.Key), "rota."), a.Value.AsString())
				}
			}
			if s.SpanKind == trace.SpanKindClient {
				b.WriteString(" (client)")
			}
			if s.Status.Description != "" {
				fmt.Fprintf(&b, " %s: %s", s.Status.Code, s.Status.Description)
			}
			b.WriteString("\n")
			write(s.SpanContext.SpanID(), depth+1)
		}
	}
	write(trace.SpanID{}, 0)
	return b.String()
}

// bench is one secret on in-memory systems.
type bench struct {
	secret  *rotation.Secret
	rotator *rotation.Rotator
	faults  memory.Injector
}

func newBench(tracer rotation.Tracer) *bench {
	b := &bench{}
	now := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
	o := memory.Options{Now: func() time.Time { return now }, Faults: b.faults.Fault}
	b.secret = &rotation.Secret{
		Name: "prod/cms", Issuer: memory.NewAccessKeys(memory.AccessKeysOptions{Options: o}), Store: memory.NewStore(o),
		Policy:    rotation.Policy{RotateEvery: 90 * rota.Day, DeactivatePreviousAfter: 10 * rota.Day, DeletePreviousAfter: 20 * rota.Day},
		Targets:   []rota.Target{memory.NewTarget("app", o)},
		Reloaders: []rota.Reloader{memory.NewReloader("app", nil, o)}, Notifiers: []rota.Notifier{memory.NewNotifier("ops", o)},
	}
	versions := 0
	b.rotator = &rotation.Rotator{
		Journal: memory.NewJournal(o), Trace: tracer, Now: func() time.Time { return now },
		Sleep: func(_ context.Context, d time.Duration) error { now = now.Add(d); return nil },
		NewID: func() string { versions++; return fmt.Sprintf("rota-%d", versions) },
	}
	return b
}

// value is the current credential's secret part.
func (b *bench) value(t *testing.T) string {
	t.Helper()
	c, err := b.secret.Store.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range c.Versions {
		credential, err := b.secret.Store.Get(t.Context(), rota.GetRequest{Version: v.ID})
		if err != nil {
			t.Fatal(err)
		}
		if text := credential.Field(rota.FieldSecretAccessKey); text != "" {
			return text
		}
	}
	t.Fatal("there is no value to look for")
	return ""
}

func TestTheSpansOfARotationAreItsTurnStepsAndCalls(t *testing.T) {
	tr, spans := recorder()
	b := newBench(tr.Tracer())
	if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); err != nil {
		t.Fatal(err)
	}
	got := spans.GetSpans()
	golden(t, "rotation", tree(got))
	holdsNo(t, got, b.value(t))
}

func TestTheSpansOfAFailureSayWhatFailedWithoutTheValue(t *testing.T) {
	tr, spans := recorder()
	b := newBench(nil)
	if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); err != nil {
		t.Fatal(err)
	}
	b.rotator.Trace = tr.Tracer()
	// A program that fails may print what it was given.
	full := &rota.Error{System: "app", Op: "deliver", Class: rota.ClassStop, Err: errors.New("disk full, at " + b.value(t))}
	b.faults.Next("target.deliver", memory.Fault{Before: full})
	if _, err := b.rotator.Redeliver(t.Context(), b.secret); err == nil {
		t.Fatal("the delivery did not fail")
	}
	got := spans.GetSpans()
	golden(t, "failed-delivery", tree(got))
	holdsNo(t, got, b.value(t))
}

// holdsNo searches everything known about the spans for texts.
func holdsNo(t *testing.T, spans tracetest.SpanStubs, texts ...string) {
	t.Helper()
	whole, err := json.Marshal(spans)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		if bytes.Contains(whole, []byte(text)) {
			t.Errorf("a span holds %q", text)
		}
	}
}

// golden compares with a file in testdata; ROTA_UPDATE_GOLDEN rewrites it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if os.Getenv("ROTA_UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
}

func TestNothingIsTracedByNil(t *testing.T) {
	var none *tracing.Tracing
	if none.Tracer() != nil {
		t.Error("there is a tracer")
	}
	ctx, end := none.Command(t.Context(), "rota run")
	end(nil)
	if ctx != t.Context() {
		t.Error("the command has another context")
	}
	if err := none.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestARequestIsTheParentOfItsWorkAndNamedByItsRoute(t *testing.T) {
	tr, spans := recorder()
	b := newBench(tr.Tracer())
	inner := http.NewServeMux()
	inner.HandleFunc("POST /v1/secrets/{name}/rotate", func(w http.ResponseWriter, r *http.Request) {
		if _, _, err := b.rotator.Observe(r.Context(), b.secret); err != nil {
			t.Error(err)
		}
	})
	outer := http.NewServeMux()
	outer.Handle("/v1/", tracing.Routes(inner))
	outer.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	handler := tr.Handler(tracing.Routes(outer))

	const token, value = "Bearer rota_AK_canary-token", "canary-in-a-query"
	send := func(method, path string) {
		r := httptest.NewRequestWithContext(t.Context(), method, path+"?password="+value, nil)
		r.Header.Set("Authorization", token)
		r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	send(http.MethodGet, "/healthz")
	if n := len(spans.GetSpans()); n != 0 {
		t.Fatalf("a look at the health made %d spans", n)
	}
	send(http.MethodPost, "/v1/secrets/x/rotate")
	got := spans.GetSpans()
	request := got[len(got)-1]
	if request.Name != "POST /v1/secrets/{name}/rotate" || request.SpanKind != trace.SpanKindServer {
		t.Errorf("the request's span is %s, of kind %s", request.Name, request.SpanKind)
	}
	if id := request.Parent.SpanID().String(); id != "b7ad6b7169203331" {
		t.Errorf("the request's parent is %s, not the caller's span", id)
	}
	for _, s := range got {
		if s.SpanContext.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("%s is in another trace", s.Name)
		}
		if s.Name == "observe" && s.Parent.SpanID() != request.SpanContext.SpanID() {
			t.Error("the work is not a part of the request")
		}
	}
	if len(got) < 3 {
		t.Errorf("%d spans, want those of the work too", len(got))
	}
	holdsNo(t, got, "canary-token", value)
}

func TestLogLinesWithinASpanCarryItsIDs(t *testing.T) {
	tr, spans := recorder()
	var out bytes.Buffer
	log := slog.New(tracing.LogHandler(slog.NewJSONHandler(&out, nil))).With("a", "b")
	ctx, end := tr.Command(t.Context(), "rota run")
	log.InfoContext(ctx, "inside")
	end(nil)
	log.InfoContext(t.Context(), "outside")

	var inside, outside map[string]any
	decoder := json.NewDecoder(&out)
	if err := errors.Join(decoder.Decode(&inside), decoder.Decode(&outside)); err != nil {
		t.Fatal(err)
	}
	span := spans.GetSpans()[0].SpanContext
	if inside["trace_id"] != span.TraceID().String() || inside["span_id"] != span.SpanID().String() {
		t.Errorf("the line is %v, the span %v", inside, span)
	}
	if _, ok := outside["trace_id"]; ok {
		t.Errorf("a line outside has ids: %v", outside)
	}
}

// stuck is an exporter whose collector never responds.
type stuck struct{}

func (stuck) ExportSpans(ctx context.Context, _ []sdk.ReadOnlySpan) error {
	<-ctx.Done()
	return ctx.Err()
}

func (stuck) Shutdown(context.Context) error { return nil }

func TestStopWaitsForFiveSecondsAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := tracing.New(sdk.NewTracerProvider(sdk.WithBatcher(stuck{})))
		_, end := tr.Command(t.Context(), "rota run")
		end(nil)
		begun := time.Now()
		if err := tr.Stop(t.Context()); err == nil {
			t.Error("spans that were not sent are not told of")
		}
		if took := time.Since(begun); took != 5*time.Second {
			t.Errorf("it took %s", took)
		}
		time.Sleep(time.Minute) // virtual: the stuck exporter gives up
	})
}
