package elasticsearchtest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// owner is the user that a key is of.
func (s *Server) owner(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.keys, func(k *Key) bool { return k.ID == id })
	return s.keys[i].Owner
}

func (s *Server) createKey(w http.ResponseWriter, r *http.Request, who string) {
	var body struct {
		Name, Expiration string
		Roles            json.RawMessage `json:"role_descriptors"`
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil || body.Name == "" || strings.HasPrefix(body.Name, "_") {
		refuse(w, http.StatusBadRequest, "action_request_validation_exception", "api key name is required")
		return
	}
	length := time.Duration(0)
	if body.Expiration != "" {
		var err error
		if length, err = time.ParseDuration(body.Expiration); err != nil {
			refuse(w, http.StatusBadRequest, "illegal_argument_exception", "failed to parse setting [expiration]")
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.add(body.Name, who)
	k.Permissions = body.Roles
	made := map[string]any{"id": k.ID, "name": k.Name, "api_key": k.Value, "encoded": base64.StdEncoding.EncodeToString([]byte(k.ID + ":" + k.Value))}
	if length > 0 {
		k.Expires = k.Created.Add(length)
		made["expiration"] = k.Expires.UnixMilli()
	}
	answer(w, http.StatusOK, made)
}

func (s *Server) listKeys(w http.ResponseWriter, r *http.Request, who string) {
	q := r.URL.Query()
	prefix, isPrefix := strings.CutSuffix(q.Get("name"), "*")
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []any{}
	for _, k := range s.keys {
		if q.Get("owner") == "true" && k.Owner != who || q.Get("id") != "" && k.ID != q.Get("id") ||
			isPrefix && !strings.HasPrefix(k.Name, prefix) || !isPrefix && prefix != "" && k.Name != prefix {
			continue
		}
		one := map[string]any{"id": k.ID, "name": k.Name, "creation": k.Created.UnixMilli(), "invalidated": !k.Invalid.IsZero(), "username": k.Owner, "realm": "native1"}
		if !k.Expires.IsZero() {
			one["expiration"] = k.Expires.UnixMilli()
		}
		list = append(list, one)
	}
	answer(w, http.StatusOK, map[string]any{"api_keys": list})
}

func (s *Server) invalidateKeys(w http.ResponseWriter, r *http.Request, who string) {
	var body struct {
		IDs   []string
		Owner bool
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil || len(body.IDs) == 0 {
		refuse(w, http.StatusBadRequest, "action_request_validation_exception", "one of [api key id(s), api key name, username, realm name] must be specified")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now, before := []string{}, []string{}
	for _, k := range s.keys {
		switch {
		case !slices.Contains(body.IDs, k.ID) || body.Owner && k.Owner != who:
		case !k.Invalid.IsZero():
			before = append(before, k.ID)
		default:
			k.Invalid = s.now()
			now = append(now, k.ID)
		}
	}
	answer(w, http.StatusOK, map[string]any{"invalidated_api_keys": now, "previously_invalidated_api_keys": before, "error_count": 0})
}

func (s *Server) createToken(w http.ResponseWriter, r *http.Request, who string) {
	var body struct {
		Name     string
		Duration int64           `json:"duration_seconds"`
		Indexes  json.RawMessage `json:"index_permissions"`
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil || body.Name == "" {
		answer(w, http.StatusBadRequest, map[string]string{"status": "error", "reason": "missing name"})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.keys, func(k *Key) bool { return k.Name == body.Name }) {
		answer(w, http.StatusBadRequest, map[string]string{"error": "a token with this name already exists"})
		return
	}
	length := time.Duration(body.Duration) * time.Second
	if length == 0 {
		length = s.longest
	}
	if length > s.longest {
		answer(w, http.StatusBadRequest, map[string]string{"error": "duration_seconds must not exceed max_duration_seconds"})
		return
	}
	k := s.add(body.Name, who)
	k.Value, k.Expires, k.Permissions = "os_"+k.Value, k.Created.Add(length), body.Indexes
	answer(w, http.StatusOK, map[string]string{"id": k.ID, "token": k.Value})
}

func (s *Server) listTokens(w http.ResponseWriter, _ *http.Request, _ string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []any{}
	for _, k := range s.keys {
		one := map[string]any{"id": k.ID, "name": k.Name, "iat": k.Created.UnixMilli(), "created_by": k.Owner, "cluster_permissions": []string{}}
		if !k.Expires.IsZero() {
			one["expires_at"] = k.Expires.UnixMilli()
		}
		if !k.Invalid.IsZero() {
			one["revoked_at"] = k.Invalid.UnixMilli()
		}
		list = append(list, one)
	}
	answer(w, http.StatusOK, list)
}

func (s *Server) revokeToken(w http.ResponseWriter, r *http.Request, _ string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		if k.ID == r.PathValue("id") && k.Invalid.IsZero() {
			k.Invalid = s.now()
			answer(w, http.StatusOK, map[string]string{"message": "Token " + k.ID + " revoked successfully."})
			return
		}
	}
	answer(w, http.StatusNotFound, map[string]string{"error": "Token not found"})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, status int, kind, reason string) {
	answer(w, status, map[string]any{"error": map[string]any{"type": kind, "reason": reason, "root_cause": []any{}}, "status": status})
}
