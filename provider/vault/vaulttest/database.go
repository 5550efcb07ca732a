package vaulttest

import (
	"fmt"
	"strings"
	"time"
)

// staticRole is one of a database engine. The database takes whatever Vault sets.
type staticRole struct {
	username, password string
	rotated            time.Time
	period             time.Duration
	schedule           string
}

// ttl is how long it is until Vault rotates the password by itself.
func (r *staticRole) ttl(now time.Time) time.Duration {
	if r.schedule != "" {
		return time.Hour
	}
	return max(0, r.rotated.Add(r.period).Sub(now))
}

func (s *Server) rotateStatic(r *staticRole) {
	r.password, r.rotated = s.next("db-password"), s.now()
}

// AddStaticRole mounts a database engine, unless it is, and makes a static role.
func (s *Server) AddStaticRole(at, name, username string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mounts[at] = &mount{kind: "database"}
	r := &staticRole{username: username, period: 87600 * time.Hour}
	s.rotateStatic(r)
	s.statics[at+"/"+name] = r
}

// RotateStatic rotates a static role's password, as Vault does by itself.
func (s *Server) RotateStatic(at, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rotateStatic(s.statics[at+"/"+name])
}

// StaticPassword is the password that the database has for a static role's user.
func (s *Server) StaticPassword(at, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.statics[at+"/"+name].password
}

// database answers for a database engine.
func (s *Server) database(mount, rest string, r request) reply {
	kind, name, _ := strings.Cut(rest, "/")
	one := s.statics[mount+"/"+name]
	if kind == "roles" {
		return s.dynamicRoles(mount+"/"+name, r)
	}
	switch kind + " " + r.method {
	case "config POST", "config PUT":
		return nothing
	case "static-roles POST", "static-roles PUT":
		if one == nil {
			one = &staticRole{username: r.text("username")}
			s.rotateStatic(one)
			s.statics[mount+"/"+name] = one
		}
		one.period, one.schedule = duration(r.body["rotation_period"]), r.text("rotation_schedule")
		return nothing
	case "static-creds GET":
		if one == nil {
			return refuse(400, "unknown role: "+name)
		}
		out := map[string]any{"username": one.username, "password": one.password, "last_vault_rotation": one.rotated.UTC().Format(time.RFC3339Nano), "ttl": seconds(one.ttl(s.now()))}
		if one.schedule != "" {
			out["rotation_schedule"] = one.schedule
		} else {
			out["rotation_period"] = seconds(one.period)
		}
		return data(out)
	case "creds GET":
		role, there := s.dynamic[mount+"/"+name]
		if !there {
			return refuse(400, "unknown role: "+name)
		}
		return s.newLease(r, mount+"/"+rest, role, 0, true, map[string]string{"username": "v-" + strings.TrimSuffix(s.next(name), "-canary"), "password": s.next("db-password")})
	case "rotate-role POST", "rotate-role PUT":
		if one == nil {
			return refuse(400, "no static role found for role name")
		}
		s.rotateStatic(one)
		return nothing
	}
	return refuse(405, fmt.Sprintf("unsupported operation %s", r.method))
}
