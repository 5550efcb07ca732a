// Package elasticsearchtest is a stand-in for Elasticsearch's and OpenSearch's API
// keys, in memory. It isn't either of them: it answers as their documentation says
// (elastic.co/docs/api, docs.opensearch.org/latest/security/api/api-keys), and the
// part of Elasticsearch is tested with Elastic's own client.
package elasticsearchtest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rota-dev/rota/provider/providertest"
)

// The administrator.
const (
	Username = "rota"
	Password = "admin-canary-7Ke2" //nolint:gosec // of no real cluster
)

// Key is an API key.
type Key struct {
	ID, Name, Value  string
	Owner            string
	Created, Expires time.Time // Expires is zero if it never does
	Invalid          time.Time // zero while it's valid
	Permissions      json.RawMessage
}

// Server is a cluster of both products.
type Server struct {
	*httptest.Server
	providertest.HTTPFaults

	mu        sync.Mutex
	now       func() time.Time
	keys      []*Key
	anonymous bool          // lets in whoever isn't known
	denied    string        // what nobody may do: a part of a path
	lacks     string        // the privilege that the administrator doesn't have
	longest   time.Duration // how long a key of OpenSearch can be valid
}

// New starts a cluster. Close must be called. openSearch says which product it is.
func New(openSearch bool) *Server {
	s := &Server{now: time.Now, longest: 90 * 24 * time.Hour}
	cluster, mux := rand.Text(), http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		if s.who(w, r) == "" {
			return
		}
		version := map[string]string{"number": "9.2.1"}
		if openSearch {
			version = map[string]string{"number": "3.7.0", "distribution": "opensearch"}
		}
		answer(w, http.StatusOK, map[string]any{"name": "node-1", "cluster_uuid": cluster, "version": version})
	})
	if openSearch {
		mux.HandleFunc("POST /_plugins/_security/api/apitokens", s.admin(s.createToken))
		mux.HandleFunc("GET /_plugins/_security/api/apitokens", s.admin(s.listTokens))
		mux.HandleFunc("DELETE /_plugins/_security/api/apitokens/{id}", s.admin(s.revokeToken))
	} else {
		mux.HandleFunc("POST /_security/api_key", s.admin(s.createKey))
		mux.HandleFunc("PUT /_security/api_key", s.admin(s.createKey)) // as Elastic's client sends it
		mux.HandleFunc("GET /_security/api_key", s.admin(s.listKeys))
		mux.HandleFunc("DELETE /_security/api_key", s.admin(s.invalidateKeys))
		mux.HandleFunc("GET /_security/_authenticate", s.authenticate)
		mux.HandleFunc("POST /_security/user/_has_privileges", s.admin(s.hasPrivileges))
	}
	s.Server = httptest.NewServer(s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !openSearch {
			w.Header().Set("X-Elastic-Product", "Elasticsearch")
		}
		mux.ServeHTTP(w, r)
	})))
	return s
}

// SetNow sets the cluster's clock.
func (s *Server) SetNow(now func() time.Time) { s.set(func() { s.now = now }) }

// SetAnonymous lets in whoever isn't known, or doesn't.
func (s *Server) SetAnonymous(on bool) { s.set(func() { s.anonymous = on }) }

// Deny forbids everybody whatever has a part in its path; "" nothing.
func (s *Server) Deny(part string) { s.set(func() { s.denied = part }) }

// Lack takes one privilege from Elasticsearch's administrator.
func (s *Server) Lack(privilege string) { s.set(func() { s.lacks = privilege }) }

// SetLongest sets how long a key of OpenSearch can be valid, which is how long it is if
// nobody says otherwise.
func (s *Server) SetLongest(d time.Duration) { s.set(func() { s.longest = d }) }

// Disown makes all keys somebody else's, as if Rota logged in as another user now.
func (s *Server) Disown(owner string) {
	s.set(func() {
		for _, k := range s.keys {
			k.Owner = owner
		}
	})
}

func (s *Server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// Add makes a key of somebody's.
func (s *Server) Add(name, owner string) Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.add(name, owner)
}

func (s *Server) add(name, owner string) *Key {
	k := &Key{ID: rand.Text()[:20], Name: name, Value: rand.Text()[:22], Owner: owner, Created: s.now().UTC().Truncate(time.Millisecond)}
	s.keys = append(s.keys, k)
	return k
}

// Keys are all keys, valid or not.
func (s *Server) Keys() []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Key
	for _, k := range s.keys {
		all = append(all, *k)
	}
	return all
}

// Accepts reports whether a key is let in.
func (s *Server) Accepts(id, value string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.keys, func(k *Key) bool { return k.ID == id && k.Value == value && s.valid(k) })
}

func (s *Server) valid(k *Key) bool {
	return k.Invalid.IsZero() && (k.Expires.IsZero() || s.now().Before(k.Expires))
}

// who is the user or the key that a request is from. It answers those it doesn't know.
func (s *Server) who(w http.ResponseWriter, r *http.Request) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if user, password, ok := r.BasicAuth(); ok && user == Username && password == Password {
		return user
	}
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "ApiKey") {
		text, _ := base64.StdEncoding.DecodeString(token)
		for _, k := range s.keys {
			if s.valid(k) && (token == k.Value || string(text) == k.ID+":"+k.Value) {
				return "key " + k.ID
			}
		}
	}
	if s.anonymous {
		return "anonymous"
	}
	// An unkind proxy repeats what it was sent.
	refuse(w, http.StatusUnauthorized, "security_exception", "unable to authenticate "+r.Header.Get("Authorization"))
	return ""
}

// admin lets the administrator alone through.
func (s *Server) admin(handle func(w http.ResponseWriter, r *http.Request, who string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who := s.who(w, r)
		if who == "" {
			return
		}
		s.mu.Lock()
		denied := who != Username || s.denied != "" && strings.Contains(r.URL.Path, s.denied)
		s.mu.Unlock()
		if denied {
			refuse(w, http.StatusForbidden, "security_exception", "action [cluster:admin/xpack/security/api_key] is unauthorized for user ["+who+"]")
			return
		}
		handle(w, r, who)
	}
}

func (s *Server) authenticate(w http.ResponseWriter, r *http.Request) {
	who := s.who(w, r)
	if who == "" {
		return
	}
	if id, isKey := strings.CutPrefix(who, "key "); isKey {
		answer(w, http.StatusOK, map[string]any{"username": s.owner(id), "authentication_type": "api_key", "api_key": map[string]string{"id": id, "name": "a key"}})
		return
	}
	answer(w, http.StatusOK, map[string]any{"username": who, "authentication_type": map[bool]string{true: "realm", false: "anonymous"}[who == Username]})
}

// hasPrivileges says that the administrator has all but one privilege.
func (s *Server) hasPrivileges(w http.ResponseWriter, r *http.Request, _ string) {
	var body struct {
		Cluster []string
		Index   []struct{ Names, Privileges []string }
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		refuse(w, http.StatusBadRequest, "x_content_parse_exception", "failed to parse the privileges")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all, cluster, index := s.denied == "", map[string]bool{}, map[string]map[string]bool{}
	has := func(into map[string]bool, privileges []string) {
		for _, p := range privileges {
			into[p] = p != s.lacks
			all = all && into[p]
		}
	}
	has(cluster, body.Cluster)
	for _, i := range body.Index {
		for _, name := range i.Names {
			if index[name] == nil {
				index[name] = map[string]bool{}
			}
			has(index[name], i.Privileges)
		}
	}
	answer(w, http.StatusOK, map[string]any{"username": Username, "has_all_requested": all, "cluster": cluster, "index": index})
}
