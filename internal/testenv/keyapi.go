package testenv

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// KeyAPI is a made-up HTTP API whose keys can be listed, switched off and deleted,
// and which has settings and deployments:
//
//	POST /keys {"name"}          makes a key; GET /keys lists them
//	POST /keys/{id}/on, …/off    switches one; DELETE /keys/{id} deletes it
//	GET /me                      is what a key is for
//	PUT /settings/{name}         keeps what it's sent
//	POST /deploys {"version"}    deploys; GET /deploys/last says what runs
//
// Like some vendors' it's careless: what it refuses, it repeats.
type KeyAPI struct {
	admin string
	now   func() time.Time
	mux   *http.ServeMux

	mu       sync.Mutex
	last     int
	keys     []*APIKey
	running  string
	settings map[string]json.RawMessage
}

// APIKey is a key of a [KeyAPI].
type APIKey struct {
	Name    string    `json:"name"`
	ID      string    `json:"id"`
	Value   string    `json:"value,omitempty"` // not in lists
	Created time.Time `json:"created"`
	Used    time.Time `json:"used"`
	On      bool      `json:"on"`
}

// NewKeyAPI makes an API without keys. admin is the bearer token of whoever manages
// them.
func NewKeyAPI(admin string, now func() time.Time) *KeyAPI {
	k := &KeyAPI{admin: admin, now: now, mux: http.NewServeMux(), settings: map[string]json.RawMessage{}}
	k.managed("POST /keys", func(_ string, body []byte) (int, any) {
		k.last++
		x := &APIKey{ID: strconv.Itoa(k.last), Value: "key-" + rand.Text(), Created: k.now(), On: true}
		_ = json.Unmarshal(body, x)
		k.keys = append(k.keys, x)
		return http.StatusCreated, x
	})
	k.managed("GET /keys", func(string, []byte) (int, any) {
		return http.StatusOK, k.shown()
	})
	for state, on := range map[string]bool{"on": true, "off": false} {
		k.managed("POST /keys/{name}/"+state, k.one(func(i int) { k.keys[i].On = on }))
	}
	k.managed("DELETE /keys/{name}", k.one(func(i int) { k.keys = slices.Delete(k.keys, i, i+1) }))
	k.managed("PUT /settings/{name}", func(name string, body []byte) (int, any) {
		k.settings[name] = body
		return http.StatusNoContent, nil
	})
	k.managed("POST /deploys", func(_ string, body []byte) (int, any) {
		var asked struct{ Version string }
		_ = json.Unmarshal(body, &asked)
		k.running = asked.Version
		return http.StatusAccepted, nil
	})
	k.managed("GET /deploys/last", func(string, []byte) (int, any) { return http.StatusOK, map[string]string{"running": k.running} })
	k.mux.HandleFunc("GET /me", func(w http.ResponseWriter, r *http.Request) {
		k.mu.Lock()
		defer k.mu.Unlock()
		if i := k.find(bearer(r)); i >= 0 {
			k.keys[i].Used = k.now()
			answer(w, http.StatusOK, k.keys[i].ID)
			return
		}
		answer(w, http.StatusUnauthorized, "no such key: "+bearer(r))
	})
	return k
}

// ServeHTTP implements [http.Handler].
func (k *KeyAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) { k.mux.ServeHTTP(w, r) }

// Keys are the keys, without their values.
func (k *KeyAPI) Keys() []APIKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.shown()
}

func (k *KeyAPI) shown() []APIKey {
	list := []APIKey{}
	for _, x := range k.keys {
		shown := *x
		shown.Value = ""
		list = append(list, shown)
	}
	return list
}

// Accepts reports whether a value is that of a key that's on. It doesn't count as a
// use.
func (k *KeyAPI) Accepts(value string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.find(value) >= 0
}

// find is where the key is that has a value and is on, -1 for nowhere.
func (k *KeyAPI) find(value string) int {
	return slices.IndexFunc(k.keys, func(x *APIKey) bool { return x.Value == value && x.On })
}

// managed registers what only the administrator may do.
func (k *KeyAPI) managed(pattern string, act func(name string, body []byte) (status int, v any)) {
	k.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		if bearer(r) != k.admin {
			answer(w, http.StatusUnauthorized, "not for "+bearer(r)+": "+string(body))
			return
		}
		status, v := act(r.PathValue("name"), body)
		answer(w, status, v)
	})
}

// one is what happens to one key.
func (k *KeyAPI) one(act func(i int)) func(string, []byte) (int, any) {
	return func(id string, _ []byte) (int, any) {
		i := slices.IndexFunc(k.keys, func(x *APIKey) bool { return x.ID == id })
		if i < 0 {
			return http.StatusNotFound, "no key " + id
		}
		act(i)
		return http.StatusNoContent, nil
	}
}

func bearer(r *http.Request) string {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if v != nil {
		_ = json.NewEncoder(w).Encode(v)
	}
}
