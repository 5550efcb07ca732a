package vaulttest

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// AddToken makes a token that lives for a while; 0 means for ever.
func (s *Server) AddToken(life time.Duration, renewable bool, kind string, policies ...string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, _ := s.newToken(life, renewable, kind, policies)
	return value
}

// AddChild makes a token show that another one made it.
func (s *Server) AddChild(value string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[value].child = true
	return value
}

// RevokeTokens makes all tokens but the root token invalid.
func (s *Server) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for value := range s.tokens {
		if value != RootToken {
			delete(s.tokens, value)
		}
	}
}

func (s *Server) newToken(life time.Duration, renewable bool, kind string, policies []string) (string, *token) {
	t := &token{policies: policies, life: life, renewable: renewable, kind: kind}
	if life > 0 {
		t.end = s.now().Add(life)
	}
	value := s.next("hvs.token")
	s.tokens[value] = t
	return value, t
}

func seconds(d time.Duration) int64 { return int64((d + time.Second/2) / time.Second) }

func duration(v any) time.Duration {
	switch v := v.(type) {
	case json.Number:
		n, _ := v.Int64()
		return time.Duration(n) * time.Second
	case string:
		d, _ := time.ParseDuration(v)
		return d
	}
	return 0
}

func texts(v any) []string {
	var out []string
	list, _ := v.([]any)
	for _, x := range list {
		text, _ := x.(string)
		out = append(out, text)
	}
	return out
}

func (s *Server) token(t *token, r request) reply {
	switch strings.TrimPrefix(r.path, "auth/token/") {
	case "create":
		life := duration(r.body["ttl"])
		renewable, given := r.body["renewable"].(bool)
		kind := r.text("type")
		if kind == "" {
			kind = "service"
		}
		uses, _ := r.body["num_uses"].(json.Number)
		value, made := s.newToken(life, (renewable || !given) && kind != "batch" && life > 0, kind, texts(r.body["policies"]))
		made.uses, _ = uses.Int64()
		return s.auth(value, made)
	case "lookup-self":
		out := map[string]any{"ttl": 0, "renewable": t.renewable, "type": t.kind, "creation_ttl": seconds(t.life), "policies": t.policies, "num_uses": t.uses}
		if t.child {
			out["orphan"] = false
		}
		if !t.end.IsZero() {
			out["ttl"] = max(seconds(t.end.Sub(s.now())), 1)
		}
		return data(out)
	case "renew-self":
		if !t.renewable {
			return refuse(400, "lease is not renewable")
		}
		t.end = s.now().Add(t.life)
		return s.auth(r.token, t)
	case "revoke-self":
		delete(s.tokens, r.token)
		return nothing
	}
	return refuse(404)
}

func (s *Server) auth(value string, t *token) reply {
	return reply{200, map[string]any{"auth": map[string]any{"metadata": t.metadata, "client_token": value, "lease_duration": seconds(t.life), "renewable": t.renewable, "policies": slices.Clone(t.policies)}}}
}
