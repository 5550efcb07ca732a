package anchor_test

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/internal/store/anchor"
)

func sign(t *testing.T, key ed25519.PrivateKey, seq int64) anchor.Head {
	t.Helper()
	h := anchor.Head{
		Seq: seq, Hash: strings.Repeat("ab", 32), At: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC),
		Key: hex.EncodeToString(key.Public().(ed25519.PublicKey)),
	}
	h.Signature = hex.EncodeToString(ed25519.Sign(key, h.SigningInput()))
	return h
}

func newKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestAHeadIsGoodOnlyAsItWasSigned(t *testing.T) {
	key := newKey(t)
	good := sign(t, key, 7)
	other := sign(t, newKey(t), 7)
	borrowed := other
	borrowed.Key = good.Key
	public := key.Public().(ed25519.PublicKey)
	if err := good.Verify(public); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*anchor.Head){
		"another number":    func(h *anchor.Head) { h.Seq++ },
		"another hash":      func(h *anchor.Head) { h.Hash = strings.Repeat("cd", 32) },
		"another time":      func(h *anchor.Head) { h.At = h.At.Add(time.Nanosecond) },
		"another signature": func(h *anchor.Head) { h.Signature = other.Signature },
		"no signature":      func(h *anchor.Head) { h.Signature = "" },
		"another signer":    func(h *anchor.Head) { *h = other },
		"a borrowed name":   func(h *anchor.Head) { *h = borrowed },
	} {
		h := good
		change(&h)
		if err := h.Verify(public); !errors.Is(err, anchor.ErrForged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAFileKeepsHeads(t *testing.T) {
	f := anchor.File{Path: filepath.Join(t.TempDir(), "there", "heads")}
	if heads, err := f.Heads(t.Context()); err != nil || len(heads) > 0 {
		t.Fatalf("before the first: %v, %v", heads, err)
	}
	key := newKey(t)
	want := []anchor.Head{sign(t, key, 1), sign(t, key, 9)}
	for _, h := range want {
		if err := f.Put(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
	// A crash in the middle of a line loses only that line.
	half, err := os.OpenFile(f.Path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := half.WriteString(`{"seq": 10`); err != nil {
		t.Fatal(err)
	}
	if err := half.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := f.Heads(t.Context())
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	// What someone else put between them doesn't hide the others.
	text, err := os.ReadFile(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.Path, append([]byte("what\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err = f.Heads(t.Context())
	if _, ok := errors.AsType[*anchor.StrayError](err); !ok || !strings.Contains(err.Error(), "heads:1: not a head") {
		t.Errorf("a file of something else: %v", err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAWebhookGetsHeads(t *testing.T) {
	want := sign(t, newKey(t), 3)
	status := http.StatusNoContent
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var got anchor.Head
		if err := json.Unmarshal(body, &got); err != nil || !cmp.Equal(got, want) || r.Header.Get("Authorization") != "Bearer hunter2" {
			t.Errorf("got %s, %v", body, r.Header)
		}
		w.WriteHeader(status)
	}))
	defer server.Close()
	hook := anchor.Webhook{URL: server.URL + "/hunter2", Token: "hunter2"}
	if err := hook.Put(t.Context(), want); err != nil {
		t.Error(err)
	}
	if _, err := hook.Heads(t.Context()); !errors.Is(err, anchor.ErrWriteOnly) {
		t.Errorf("it gives heads back: %v", err)
	}
	status = http.StatusTeapot
	if err := hook.Put(t.Context(), want); err == nil || !strings.Contains(err.Error(), "418") {
		t.Errorf("an answer of 418: %v", err)
	}
	server.Close()
	if err := hook.Put(t.Context(), want); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("without a server: %v", err)
	}
}
