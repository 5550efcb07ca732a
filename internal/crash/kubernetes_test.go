package crash

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/kubernetes"
	"github.com/rota-dev/rota/provider/providertest"
	"github.com/rota-dev/rota/rotation"
)

func TestServiceAccountTokensThroughEveryFault(t *testing.T) {
	t.Parallel()
	matrix(t, "Kubernetes tokens", 16, life{name: "a service account's token", build: inOwnStore(serviceAccountTokens), kinds: fewKinds, steps: lifeOfUnseen})
}

// tokenServer is a stand-in for an API server, with the matrix's clock: a real one has its
// own. It has Secrets, and tokens that are bound to them; provider/kubernetes tests both at
// the real one.
type tokenServer struct {
	now func() time.Time

	mu      sync.Mutex
	made    int
	secrets map[string]map[string]any // metadata, by name
	tokens  map[string]string         // the uid that each is bound to
}

func (s *tokenServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var body struct {
		Metadata map[string]any
		Spec     struct {
			Token             string
			ExpirationSeconds int
			BoundObjectRef    struct{ Name, UID string }
		}
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	w.Header().Set("Content-Type", "application/json")
	answer := func(status int, v any) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	refuse := func(status int, reason string) {
		answer(status, map[string]any{"kind": "Status", "reason": reason, "message": reason})
	}
	name := path.Base(r.URL.Path)
	there, exists := s.secrets[name]
	switch {
	case name == "token" && s.uid(body.Spec.BoundObjectRef.Name) != body.Spec.BoundObjectRef.UID:
		refuse(http.StatusConflict, "Conflict")
	case name == "token":
		s.made++
		token := "token-" + strconv.Itoa(s.made)
		s.tokens[token] = body.Spec.BoundObjectRef.UID
		answer(http.StatusCreated, map[string]any{"kind": "TokenRequest", "status": map[string]any{"token": token,
			"expirationTimestamp": s.now().Add(time.Duration(body.Spec.ExpirationSeconds) * time.Second).UTC().Format(time.RFC3339)}})
	case name == "tokenreviews":
		answer(http.StatusCreated, map[string]any{"kind": "TokenReview", "status": map[string]any{"authenticated": s.valid(body.Spec.Token), "user": map[string]any{"username": "system:serviceaccount:shop:ci"}}})
	case r.Method == http.MethodPost:
		name = fmt.Sprint(body.Metadata["name"])
		if s.secrets[name] != nil {
			refuse(http.StatusConflict, "AlreadyExists")
			return
		}
		s.made++
		body.Metadata["uid"], body.Metadata["creationTimestamp"] = "uid-"+strconv.Itoa(s.made), s.now().UTC().Format(time.RFC3339)
		s.secrets[name] = body.Metadata
		answer(http.StatusCreated, map[string]any{"kind": "Secret", "metadata": body.Metadata})
	case !exists:
		refuse(http.StatusNotFound, "NotFound")
	case r.Method == http.MethodDelete:
		delete(s.secrets, name)
		answer(http.StatusOK, map[string]any{"kind": "Status", "status": "Success"})
	default:
		answer(http.StatusOK, map[string]any{"kind": "Secret", "metadata": there})
	}
}

func (s *tokenServer) uid(name string) string { return fmt.Sprint(s.secrets[name]["uid"]) }

// valid reports whether what a token is bound to is there.
func (s *tokenServer) valid(token string) bool {
	for name := range s.secrets {
		if uid := s.tokens[token]; uid != "" && s.uid(name) == uid {
			return true
		}
	}
	return false
}

func serviceAccountTokens(t testing.TB, s *scene) fixture {
	server := &tokenServer{now: s.w.clock, secrets: map[string]map[string]any{"rota-token-ci-2": {"name": "rota-token-ci-2", "uid": "other"}}, tokens: map[string]string{}}
	front := s.w.before(server, "kubernetes", kubernetesOp)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: %q}}]\nusers: [{name: u, user: {}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n", front.URL)
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	connect := func() (*kubernetes.Tokens, error) {
		c, err := kubernetes.New("main", kubernetes.Config{Kubeconfig: kubeconfig, Budget: providertest.Unlimited{}, Now: s.w.clock})
		return &kubernetes.Tokens{Connection: c, Namespace: "shop", ServiceAccount: "ci", ExpiresAfter: 365 * rota.Day}, err
	}
	issuer, err := connect()
	if err != nil {
		t.Fatal(err)
	}
	return fixture{
		connect: func(_ *process, secret *rotation.Secret) (err error) {
			secret.Issuer, err = connect()
			return err
		},
		traits: issuer.Traits(), id: issuer.CredentialID, marks: true,
		works: func(c rota.Credential) (bool, error) {
			server.mu.Lock()
			defer server.mu.Unlock()
			return server.valid(c.Field(kubernetes.FieldToken)), nil
		},
		exists: func() (map[string]bool, error) {
			server.mu.Lock()
			defer server.mu.Unlock()
			exist := map[string]bool{}
			for name := range server.secrets {
				if uid := server.uid(name); uid != "other" {
					exist[name+"/"+uid] = true
				}
			}
			return exist, nil
		},
		intact: func() error {
			server.mu.Lock()
			defer server.mu.Unlock()
			if server.secrets["rota-token-ci-2"]["uid"] != "other" {
				return errors.New("somebody else's Secret was deleted")
			}
			return nil
		},
		close: front.Close,
	}
}

// kubernetesOp is what a request does. The API server's reads are consistent, so none of
// them is a list that may be old.
func kubernetesOp(r *http.Request) string {
	switch {
	case strings.HasSuffix(r.URL.Path, "/tokenreviews"):
		return "test"
	case r.Method == http.MethodPost:
		return "create"
	case r.Method == http.MethodDelete:
		return "delete"
	}
	return "look"
}
