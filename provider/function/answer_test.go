package function_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/function"
)

// Lambda's runtime emulator answers a failure with 200 and without Lambda's header.
func TestFailuresInTheRuntimeEmulator(t *testing.T) {
	f, c := start(t, nil)
	f.Emulator = true
	issuer := orders(f, c)
	inUse, stale := credential("orders", current), credential("orders", "stale-canary")
	wrong(t, test(t, issuer, stale), rota.ClassStop, "password authentication failed")
	wrong(t, issuer.Set(t.Context(), rota.SetRequest{Credential: stale, Current: credential("orders", "older-canary")}), rota.ClassWait, "setSecret failed: ValueError: unable to log into database")
	if err := test(t, issuer, inUse); err != nil {
		t.Error(err)
	}
	for answer, part := range map[string]string{
		"Task timed out after 3.00 seconds":             "Task timed out after 3.00 seconds",
		"<html>Welcome to nginx":                        "isn't JSON",
		`{"errorMessage": "", "errorType": "KeyError"}`: "KeyError",
		`{"errorMessage": {"code": 7}}`:                 `{"code": 7}`,
	} {
		f.Answer("POST", "", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answer) })
		wrong(t, issuer.Set(t.Context(), rota.SetRequest{Credential: stale, Current: inUse}), rota.ClassWait, "setSecret failed", part)
	}
	f.Answer("POST", "", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) })
	wrong(t, test(t, issuer, inUse), rota.ClassWait, "one at a time")
	f.Answer("POST", "", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		fmt.Fprint(w, `{"errorType": "Runtime.ExitError", "errorMessage": "Runtime exited"}`)
	})
	wrong(t, test(t, issuer, inUse), rota.ClassWait, "502", "Runtime.ExitError: Runtime exited")
}

// Lambda's runtime emulator doesn't survive two calls at once.
func TestOneCallAtATime(t *testing.T) {
	f, c := start(t, nil)
	issuer := orders(f, c)
	entered, release, over := make(chan struct{}), make(chan struct{}), make(chan error)
	f.Answer("POST", "", func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		fmt.Fprint(w, "null")
	})
	set := func(ctx context.Context) error {
		return issuer.Set(ctx, rota.SetRequest{Credential: credential("orders", current)})
	}
	go func() { over <- set(t.Context()) }()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wrong(t, set(ctx), rota.ClassWait, "an earlier call of the function isn't over")
	if n := len(f.Requests()); n != 1 {
		t.Errorf("the function was called %d times", n)
	}
	close(release)
	if err := <-over; err != nil {
		t.Error(err)
	}
	if err := set(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// What answers 200 to everything isn't taken for a function that tested.
func TestATestThatAsksForNothing(t *testing.T) {
	f, c := start(t, nil)
	issuer := orders(f, c)
	f.Answer("POST", "", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"status": "ok"}`) })
	wrong(t, test(t, issuer, credential("orders", current)), rota.ClassStop, "tested nothing", "url of connection rotate")
}

// A function's message holds no value, wherever it would be cut short, nor the key that
// the function signs with.
func TestMessagesHoldNoValue(t *testing.T) {
	const phrase = "correct  horse\tcanary staple"
	for lead := range 30 {
		f, c := start(t, nil)
		issuer := c.Credentials(function.CredentialConfig{Name: "orders"})
		f.Answer("POST", "", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			_ = json.NewEncoder(w).Encode(map[string]string{"errorMessage": "tried " + secretKey + strings.Repeat(" x", 170+lead) + " " + phrase})
		})
		err := test(t, issuer, credential("orders", phrase))
		for _, part := range []string{"horse", "canary"} {
			if strings.Contains(fmt.Sprint(err), part) {
				t.Fatalf("with %d words before it: %v", 170+lead, err)
			}
		}
	}
}
