package vaulttest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// role is one of AppRole.
type role struct {
	id, name string
	policies []string
	ttl      time.Duration // of its tokens
	idTTL    time.Duration // of its secret ids
	idUses   int64
	secrets  []*secretID
}

type secretID struct {
	value, accessor string
	metadata        map[string]string
	uses            int64 // 0 for no limit
	made, updated   time.Time
	end             time.Time
}

// AddRole mounts AppRole, unless it is, and makes a role.
func (s *Server) AddRole(at, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mounts["auth/"+at] = &mount{kind: "approle"}
	key := "auth/" + at + "/" + name
	s.roles[key] = &role{id: s.next("role-id"), name: key}
}

// AddSecretID makes a secret id of a role.
func (s *Server) AddSecretID(mount, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.roles["auth/"+mount+"/"+name]
	made := &secretID{value: s.next("secret-id"), accessor: s.next("accessor"), made: s.now(), updated: s.now()}
	one.secrets = append(one.secrets, made)
	return made.value
}

// Accessors are those of a role's secret ids.
func (s *Server) Accessors(mount, name string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, secret := range s.roles["auth/"+mount+"/"+name].secrets {
		all = append(all, secret.accessor)
	}
	return all
}

// Accepts reports whether a role's secret id would let its bearer in.
func (s *Server) Accepts(mount, name, value string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.roles["auth/"+mount+"/"+name].secrets, func(x *secretID) bool {
		return x.value == value && (x.end.IsZero() || s.now().Before(x.end))
	})
}

func (s *Server) login(r request) reply {
	name := strings.TrimSuffix(r.path, "/login")
	m := s.mounts[name]
	if m == nil {
		return refuse(403, "permission denied")
	}
	if m.kind == "kubernetes" || m.kind == "jwt" {
		return s.jwtLogin(r)
	}
	for _, one := range s.roles {
		if one.id != r.text("role_id") || !strings.HasPrefix(one.name, name+"/") {
			continue
		}
		for i, secret := range one.secrets {
			if secret.value != r.text("secret_id") || !secret.end.IsZero() && s.now().After(secret.end) {
				continue
			}
			secret.updated = s.now()
			if secret.uses == 1 {
				one.secrets = append(one.secrets[:i:i], one.secrets[i+1:]...)
			}
			if secret.uses > 0 {
				secret.uses--
			} else {
				secret.updated = secret.made
			}
			life := one.ttl
			if life == 0 {
				life = time.Hour
			}
			value, made := s.newToken(life, true, "service", one.policies)
			made.metadata = map[string]string{"role_name": strings.TrimPrefix(one.name, name+"/")}
			return s.auth(value, made)
		}
	}
	return refuse(400, "invalid role or secret ID")
}

// GoodJWT is the one that lets its bearer in as role rota, with the policy rota.
const GoodJWT = "eyJ-stand-in-canary.jwt"

func (s *Server) jwtLogin(r request) reply {
	if r.text("jwt") != GoodJWT {
		return refuse(403, "permission denied")
	}
	if r.text("role") != "rota" {
		return refuse(400, fmt.Sprintf("invalid role name %q", r.text("role")))
	}
	return s.auth(s.newToken(time.Hour, true, "service", []string{"rota"}))
}

func (s *Server) approle(mount, rest string, r request) reply {
	parts := strings.SplitN(strings.ToLower(rest), "/", 3)
	if len(parts) < 2 || parts[0] != "role" {
		return refuse(404)
	}
	key := mount + "/" + parts[1]
	one := s.roles[key]
	if len(parts) == 2 {
		switch r.method {
		case "POST", "PUT":
			if one == nil {
				one = &role{id: s.next("role-id"), name: key}
				s.roles[key] = one
			}
			one.policies, one.ttl, one.idTTL = texts(r.body["token_policies"]), duration(r.body["token_ttl"]), duration(r.body["secret_id_ttl"])
			uses, _ := r.body["secret_id_num_uses"].(json.Number)
			one.idUses, _ = uses.Int64()
			return nothing
		case "GET":
			if one == nil {
				return refuse(404)
			}
			return data(map[string]any{"bind_secret_id": true, "secret_id_ttl": seconds(one.idTTL), "secret_id_num_uses": one.idUses})
		}
		return refuse(405, "unsupported operation")
	}
	if one == nil {
		return refuse(missing(r.method), fmt.Sprintf("role %q does not exist", parts[1]))
	}
	switch parts[2] + " " + r.method {
	case "role-id GET":
		return data(map[string]any{"role_id": one.id})
	case "secret-id LIST":
		var keys []string
		for _, secret := range one.secrets {
			keys = append(keys, secret.accessor)
		}
		if keys == nil {
			return refuse(404)
		}
		return data(map[string]any{"keys": keys})
	case "secret-id POST", "secret-id PUT":
		return s.newSecretID(one, r)
	}
	for i, secret := range one.secrets {
		if secret.accessor != r.text("secret_id_accessor") {
			continue
		}
		switch parts[2] {
		case "secret-id-accessor/lookup":
			out := map[string]any{"secret_id_accessor": secret.accessor, "metadata": secret.metadata, "secret_id_num_uses": secret.uses,
				"creation_time": secret.made.Format(time.RFC3339Nano), "last_updated_time": secret.updated.Format(time.RFC3339Nano), "expiration_time": "0001-01-01T00:00:00Z"}
			if !secret.end.IsZero() {
				out["expiration_time"] = secret.end.Format(time.RFC3339Nano)
			}
			return data(out)
		case "secret-id-accessor/destroy":
			one.secrets = append(one.secrets[:i:i], one.secrets[i+1:]...)
			return nothing
		}
	}
	text := fmt.Sprintf("failed to find accessor entry for secret_id_accessor: %q", r.text("secret_id_accessor"))
	if parts[2] == "secret-id-accessor/destroy" {
		return refuse(500, "1 error occurred:\n\t* "+text+"\n\n")
	}
	return reply{404, map[string]any{"data": map[string]any{"error": text}}}
}

// missing is the status for a role that isn't there.
func missing(method string) int {
	if method == "LIST" {
		return 400
	}
	return 404
}

func (s *Server) newSecretID(one *role, r request) reply {
	now := s.now().UTC()
	secret := &secretID{value: s.next("secret-id"), accessor: strings.TrimSuffix(s.next("accessor"), "-canary"), metadata: map[string]string{}, made: now, updated: now}
	_ = json.Unmarshal([]byte(r.text("metadata")), &secret.metadata)
	for key, value := range secret.metadata {
		if value == "" {
			return refuse(400, fmt.Sprintf("failed to parse metadata: invalid value for key %q", key))
		}
	}
	if n, ok := r.body["num_uses"].(json.Number); ok {
		secret.uses, _ = n.Int64()
	}
	ttl := duration(r.body["ttl"])
	if ttl > 0 {
		secret.end = now.Add(ttl)
	}
	one.secrets = append(one.secrets, secret)
	return data(map[string]any{"secret_id": secret.value, "secret_id_accessor": secret.accessor, "secret_id_ttl": seconds(ttl), "secret_id_num_uses": secret.uses})
}
