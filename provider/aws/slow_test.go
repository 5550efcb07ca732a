package aws

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/google/uuid"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/aws/awstest"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// What the front does with an answer of AWS's. The action has taken effect by then.
const (
	withheld   = "no answer"
	halved     = "half an answer, and then nothing"
	cut        = "half an answer, and then a reset"
	notReached = "AWS isn't reached, and there's no answer"
)

// front stands between Rota and AWS, and withholds the answers to an action for
// longer than anyone waits.
type front struct {
	aws    string
	action string
	how    string

	mu      sync.Mutex
	calls   int      // that go wrong yet
	wrong   int      // that went wrong
	secrets []string // that AWS has given out
}

var secretIn = regexp.MustCompile(`<SecretAccessKey>([^<]+)<`)

// actionIn returns the action that a request asks for.
func actionIn(r *http.Request) string {
	if _, action, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		return action
	}
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	_, rest, _ := strings.Cut(string(body), "Action=")
	action, _, _ := strings.Cut(rest, "&")
	return action
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asked, err := io.ReadAll(r.Body) // or the server wouldn't notice that the client has gone
	if err != nil {
		return
	}
	goesWrong := r.Header.Get(wrongHeader) != ""
	if goesWrong && f.how == notReached {
		<-r.Context().Done()
		return
	}
	out, err := http.NewRequest(r.Method, f.aws+r.URL.RequestURI(), bytes.NewReader(asked))
	if err != nil {
		panic(err)
	}
	out.Header, out.Host = r.Header.Clone(), r.Host
	out.Header.Del(wrongHeader)
	resp, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if made := secretIn.FindSubmatch(body); made != nil {
		f.mu.Lock()
		f.secrets = append(f.secrets, string(made[1]))
		f.mu.Unlock()
	}
	if goesWrong && f.how == withheld {
		<-r.Context().Done()
		return
	}
	maps.Copy(w.Header(), resp.Header)
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(resp.StatusCode)
	if !goesWrong {
		_, _ = w.Write(body)
		return
	}
	_, _ = w.Write(body[:len(body)/2])
	rc := http.NewResponseController(w)
	_ = rc.Flush()
	if f.how == halved {
		<-r.Context().Done()
		return
	}
	if conn, _, err := rc.Hijack(); err == nil {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}

// wrongHeader marks the requests whose answers are withheld, after they're signed.
const wrongHeader = "X-Goes-Wrong"

// hurried waits for an answer as long as Rota does, but for a tiny part of that if
// it will be withheld.
type hurried struct {
	front          *front
	patient, short *awshttp.BuildableClient
}

func (h hurried) Do(r *http.Request) (*http.Response, error) {
	f := h.front
	f.mu.Lock()
	goesWrong := f.calls > 0 && actionIn(r) == f.action
	if goesWrong {
		f.calls--
		f.wrong++
	}
	f.mu.Unlock()
	if !goesWrong {
		return h.patient.Do(r)
	}
	r.Header.Set(wrongHeader, "1")
	return h.short.Do(r)
}

// behind connects to AWS through a front.
func behind(t *testing.T, e *env, f *front) *Connection {
	t.Helper()
	f.aws = e.endpoint
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	client := hurried{f, awshttp.NewBuildableClient().WithTimeout(requestTimeout), awshttp.NewBuildableClient().WithTimeout(20 * time.Millisecond)}
	c, err := connect(t.Context(), "main", Config{Region: region, Endpoint: server.URL, AccessKeyID: e.id, SecretAccessKey: e.secret, Budget: unlimited{}}, client, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// slowLife plays the life of two keys while the answers to an action are withheld.
func slowLife(t *testing.T, f *front) {
	t.Helper()
	now := time.Now()
	clock := func() time.Time { return now }
	e := startAWSTest(t, awstest.Options{Now: clock})
	c := behind(t, e, f)
	user := e.user(t)
	store := c.SecretsManager(SecretsManagerConfig{Name: secretName()})
	parameter := "/rota/" + uuid.NewString()[:8]
	s := &rotation.Secret{
		Name: "prod/cms", Issuer: c.AccessKeys(AccessKeysConfig{User: user}), Store: store, Targets: []rota.Target{c.Parameter(ParameterConfig{Name: parameter})},
		Policy: rotation.Policy{RotateEvery: 90 * rota.Day, DeactivatePreviousAfter: 10 * rota.Day, DeletePreviousAfter: 20 * rota.Day, UnusedFor: 7 * rota.Day, MaxAttempts: 20},
	}
	r := rotation.Rotator{
		Journal: memory.NewJournal(memory.Options{Now: clock}), Now: clock,
		Sleep: func(_ context.Context, d time.Duration) error { now = now.Add(d); return nil },
	}
	var errs []error
	begin := now
	for _, day := range []int{0, 90, 101, 111} {
		now = begin.Add(time.Duration(day)*rota.Day + time.Hour)
		for range 8 {
			if _, err := r.Advance(t.Context(), s, rotation.Options{}); err != nil {
				errs = append(errs, err)
			}
			now = now.Add(10 * time.Minute)
		}
	}

	// The previous key is deleted by now. What's left is the current one alone, and
	// everyone has it.
	contents, err := e.SecretsManager(SecretsManagerConfig{Name: store.(*secretStore).cfg.Name}).Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var current string
	for _, v := range contents.Versions {
		if slices.Contains(v.Labels, rota.LabelPending) {
			t.Errorf("version %s is still pending", v.ID)
		}
		if slices.Contains(v.Labels, rota.LabelCurrent) {
			current = v.ID
		}
	}
	credential, err := e.SecretsManager(SecretsManagerConfig{Name: store.(*secretStore).cfg.Name}).Get(t.Context(), rota.GetRequest{Version: current})
	if err != nil {
		t.Fatalf("the current version: %v (errors on the way: %v)", err, errs)
	}
	issued, err := e.AccessKeys(AccessKeysConfig{User: user}).(rota.Lister).List(t.Context())
	if err != nil || len(issued) != 1 || issued[0].ID != credential.Field(rota.FieldAccessKeyID) || !issued[0].Active {
		t.Errorf("the user has %+v, want the current key %s alone (errors on the way: %v)", issued, credential.Field(rota.FieldAccessKeyID), errs)
	}
	if err := e.AccessKeys(AccessKeysConfig{User: user}).Test(t.Context(), rota.TestRequest{Credential: credential}); err != nil {
		t.Errorf("the current key: %v", err)
	}
	if f.wrong == 0 {
		t.Errorf("no %s was made", f.action)
	}
	for _, err := range errs {
		for _, secret := range f.secrets {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("a key's secret is in the error %v", err)
			}
		}
	}
}

// Whatever becomes of an action's answer, the call ends in time, the step that made
// it is settled or repeated, and no value gets into an error.
func TestALifeWithAnswersThatNeverEnd(t *testing.T) {
	type trouble struct {
		how   string
		calls int // the first only, or also those of the SDK's own retries
	}
	for _, action := range []string{"CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey", "CreateSecret", "PutSecretValue", "UpdateSecretVersionStage", "PutParameter"} {
		for _, x := range []trouble{{withheld, 1}, {withheld, attempts}, {halved, attempts}, {cut, attempts}, {notReached, attempts}} {
			t.Run(fmt.Sprintf("%s, %s, %d times", action, x.how, x.calls), func(t *testing.T) {
				slowLife(t, &front{action: action, how: x.how, calls: x.calls})
			})
		}
	}
	for _, action := range []string{"ListAccessKeys", "GetAccessKeyLastUsed", "DescribeSecret", "GetSecretValue", "GetCallerIdentity"} {
		t.Run(action, func(t *testing.T) { slowLife(t, &front{action: action, how: halved, calls: attempts}) })
	}
}
