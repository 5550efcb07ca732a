package vaulttest

import (
	"strings"
	"time"
)

// dynamicRole is a role of which an engine makes credentials.
type dynamicRole struct{ first, most time.Duration } // default_ttl and max_ttl

// lease is one credential that an engine made.
type lease struct {
	token     string // that it was made with
	made, end time.Time
	first     time.Duration // what a renewal without an increment extends it by
	most      time.Duration
	renewable bool
	values    map[string]string
}

// AddDynamicRole mounts a database engine, unless it is, and makes a role.
func (s *Server) AddDynamicRole(at, name string, first, most time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mounts[at] = &mount{kind: "database"}
	s.dynamic[at+"/"+name] = dynamicRole{first, most}
}

// AddLease makes a credential of a role for somebody else.
func (s *Server) AddLease(at, role string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newLease(request{token: RootToken}, at+"/creds/"+role, s.dynamic[at+"/"+role], 0, true, map[string]string{})
}

// Leases are the ids of the leases that haven't ended.
func (s *Server) Leases() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for id := range s.leases {
		if s.lasts(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// lasts reports whether there's such a lease. It ends with the token that it was made
// with.
func (s *Server) lasts(id string) bool {
	l, t := s.leases[id], (*token)(nil)
	if l != nil {
		t = s.tokens[l.token]
	}
	return t != nil && (t.end.IsZero() || s.now().Before(t.end)) && s.now().Before(l.end)
}

// newLease makes a credential. A ttl of 0 is the role's.
func (s *Server) newLease(r request, path string, role dynamicRole, ttl time.Duration, renewable bool, values map[string]string) reply {
	if ttl == 0 {
		ttl = role.first
	}
	ttl = min(ttl, role.most)
	id := path + "/" + strings.TrimSuffix(s.next("lease"), "-canary")
	s.leases[id] = &lease{token: r.token, made: s.now(), end: s.now().Add(ttl), first: role.first, most: role.most, renewable: renewable, values: values}
	return reply{200, map[string]any{"lease_id": id, "lease_duration": seconds(ttl), "renewable": renewable, "data": values}}
}

// sysLeases answers for sys/leases.
func (s *Server) sysLeases(what string, r request) reply {
	if prefix, ok := strings.CutPrefix(what, "lookup/"); ok && r.method == "LIST" {
		var keys []string
		for id := range s.leases {
			if rest, below := strings.CutPrefix(id, prefix+"/"); below && s.lasts(id) {
				keys = append(keys, rest)
			}
		}
		return data(map[string]any{"keys": keys})
	}
	id := r.text("lease_id")
	l := s.leases[id]
	switch {
	case what == "revoke":
		delete(s.leases, id)
		return nothing
	case !s.lasts(id) && what == "renew":
		return refuse(400, "lease not found")
	case !s.lasts(id):
		return refuse(400, "invalid lease")
	case what == "renew":
		if !l.renewable {
			return refuse(400, "lease is not renewable")
		}
		increment := duration(r.body["increment"])
		if increment == 0 {
			increment = l.first
		}
		l.end = s.now().Add(min(increment, l.made.Add(l.most).Sub(s.now())))
		return reply{200, map[string]any{"lease_id": id, "lease_duration": seconds(l.end.Sub(s.now())), "renewable": true}}
	}
	return data(map[string]any{"id": id, "ttl": seconds(l.end.Sub(s.now())), "renewable": l.renewable})
}

// dynamicRoles answers for the roles of an engine.
func (s *Server) dynamicRoles(key string, r request) reply {
	one, there := s.dynamic[key]
	switch {
	case r.method == "POST", r.method == "PUT":
		one = dynamicRole{duration(r.body["default_ttl"]), duration(r.body["max_ttl"])}
		if one.most == 0 {
			one.most = 768 * time.Hour
		}
		if one.first == 0 {
			one.first = one.most
		}
		s.dynamic[key] = one
		return nothing
	case !there:
		return refuse(404)
	}
	return data(map[string]any{"default_ttl": seconds(one.first), "max_ttl": seconds(one.most)})
}

// aws answers for an AWS engine.
func (s *Server) aws(mount, rest string, r request) reply {
	kind, name, _ := strings.Cut(rest, "/")
	if kind == "roles" {
		return s.dynamicRoles(mount+"/"+name, r)
	}
	role, there := s.dynamic[mount+"/"+name]
	if !there {
		return refuse(400, `Role "`+name+`" not found`)
	}
	values := map[string]string{"access_key": "AKIA" + s.next("key"), "secret_key": s.next("aws-secret")}
	ttl := time.Duration(0)
	if kind == "sts" {
		ttl = duration(r.body["ttl"])
		values["security_token"] = s.next("aws-session")
	}
	return s.newLease(r, mount+"/"+rest, role, ttl, kind != "sts", values)
}
