package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/providertest"
)

// installed puts the example where nobody else can replace it.
func installed(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../examples/command/issuer.py")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "issuer.py")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(path, text, 0o755)); err != nil {
		t.Fatal(err)
	}
	return path
}

// exampleIssuer is an example as its own description has it, with faults.
func exampleIssuer(t *testing.T, program []string, settings map[string]string) providertest.IssuerFixture {
	t.Helper()
	c := Config{Command: program}
	about, err := Describe(t.Context(), c, settings)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	faults := map[string]providertest.FaultKind{}
	i, err := NewIssuer(IssuerConfig{Config: c, Settings: settings, Description: about, Around: func(verb Verb, run func() error) error {
		mu.Lock()
		kind := faults[string(verb)]
		delete(faults, string(verb))
		mu.Unlock()
		var err error
		if kind != providertest.FailBefore {
			err = run()
		}
		switch {
		case kind == providertest.Repeat && err == nil:
			err = run()
		case kind != "" && err == nil:
			err = errors.New("injected")
		}
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	return providertest.IssuerFixture{Issuer: i, UnknownID: "t999", Inject: func(op string, kind providertest.FaultKind) bool {
		mu.Lock()
		defer mu.Unlock()
		faults[op] = kind
		return kind != providertest.Hang && (op != "set" || !about.IssuerChooses)
	}}
}

// The example in shell is what rota provider test is tested with.
func TestTheExampleInPythonKeepsTheContract(t *testing.T) {
	program := []string{"python3", "-I", "-S", installed(t)}
	// Whatever the search path has in front of Python takes longer to start.
	if python, err := exec.CommandContext(t.Context(), "python3", "-c", "import sys; print(sys.executable)").Output(); err == nil {
		program[0] = strings.TrimSpace(string(python))
	}
	providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
		p := newParcel(t)
		f := exampleIssuer(t, program, map[string]string{"url": p.URL, "account": "shop", "admin_token": "pcl_admin"})
		f.Use = func(t *testing.T, c rota.Credential) {
			if err := f.Issuer.Test(t.Context(), rota.TestRequest{Credential: c}); err != nil {
				t.Error(err)
			}
		}
		return f
	})
}

// parcel is a Parcel in memory: the made-up service of the example.
type parcel struct {
	*httptest.Server
	mu     sync.Mutex
	made   int
	tokens []*parcelToken
}

type parcelToken struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Value     string    `json:"value,omitempty"`
	Active    bool      `json:"active"`
	CreatedAt time.Time `json:"created_at"`
	UsedAt    string    `json:"used_at"`
}

func newParcel(t *testing.T) *parcel {
	p := &parcel{}
	mux := http.NewServeMux()
	admin := func(f func(w http.ResponseWriter, r *http.Request) (int, any)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			p.mu.Lock()
			defer p.mu.Unlock()
			status, body := http.StatusUnauthorized, any(nil)
			if r.Header.Get("Authorization") == "Bearer pcl_admin" {
				status, body = f(w, r)
			}
			w.WriteHeader(status)
			if status != http.StatusNoContent {
				_ = json.NewEncoder(w).Encode(body)
			}
		}
	}
	mux.HandleFunc("GET /accounts/shop/tokens", admin(func(http.ResponseWriter, *http.Request) (int, any) {
		out := []parcelToken{}
		for _, x := range p.tokens {
			shown := *x
			shown.Value = ""
			out = append(out, shown)
		}
		return http.StatusOK, out
	}))
	mux.HandleFunc("POST /accounts/shop/tokens", admin(func(_ http.ResponseWriter, r *http.Request) (int, any) {
		if len(p.tokens) >= 2 {
			return http.StatusConflict, nil
		}
		x := &parcelToken{Active: true, CreatedAt: time.Now().UTC()}
		_ = json.NewDecoder(r.Body).Decode(x)
		p.made++
		x.ID, x.Value = fmt.Sprintf("t%d", p.made), fmt.Sprintf("pcl_secret_%d_%d", p.made, time.Now().UnixNano())
		p.tokens = append(p.tokens, x)
		return http.StatusCreated, x
	}))
	mux.HandleFunc("PATCH /accounts/shop/tokens/{id}", admin(func(_ http.ResponseWriter, r *http.Request) (int, any) {
		for _, x := range p.tokens {
			if x.ID == r.PathValue("id") {
				_ = json.NewDecoder(r.Body).Decode(x)
				return http.StatusOK, nil
			}
		}
		return http.StatusNotFound, nil
	}))
	mux.HandleFunc("DELETE /accounts/shop/tokens/{id}", admin(func(_ http.ResponseWriter, r *http.Request) (int, any) {
		for n, x := range p.tokens {
			switch {
			case x.ID != r.PathValue("id"):
			case x.Active:
				return http.StatusConflict, nil
			default:
				p.tokens = append(p.tokens[:n], p.tokens[n+1:]...)
				return http.StatusNoContent, nil
			}
		}
		return http.StatusNotFound, nil
	}))
	mux.HandleFunc("GET /whoami", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		given, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		for _, x := range p.tokens {
			if x.Value == given && x.Active {
				x.UsedAt = time.Now().UTC().Format(time.RFC3339)
				_, _ = w.Write([]byte(`{}`))
				return
			}
		}
		w.WriteHeader(http.StatusUnauthorized)
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}
