package vaulttest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// entry is one of a KV engine.
type entry struct {
	versions []version
	required bool  // cas_required
	most     int64 // max_versions
	custom   map[string]any
	lasts    time.Duration // delete_version_after
}

type version struct {
	data      map[string]any // nil if it's deleted or destroyed
	deleted   string
	ends      string // when it will be deleted
	destroyed bool
	gone      bool // Vault keeps no more than the latest few
	created   time.Time
}

// prune drops the versions that are too many. Of the entry's number and the engine's
// the larger one counts.
func (e *entry) prune(m *mount) {
	most := max(e.most, m.keeps)
	if most == 0 {
		most = 10
	}
	for i := range len(e.versions) - int(most) {
		e.versions[i] = version{gone: true}
	}
}

// whole is a number in a request.
func whole(v any) int64 {
	number, _ := v.(json.Number)
	n, _ := number.Int64()
	return n
}

// isNew reports whether a write creates an entry.
func (s *Server) isNew(path string) bool {
	name, m := s.mountAt(path)
	if m == nil || m.kind != "kv" {
		return false
	}
	rest := strings.TrimPrefix(path, name+"/")
	if m.version == "2" {
		inner, ok := strings.CutPrefix(rest, "data/")
		e := s.entries[name+"/"+inner]
		return ok && (e == nil || len(e.versions) == 0)
	}
	return s.entries[name+"/"+rest] == nil
}

func (s *Server) kv(name string, m *mount, rest string, r request) reply {
	if m.version != "2" {
		return s.kv1(name+"/"+rest, r)
	}
	part, path, _ := strings.Cut(rest, "/")
	key := name + "/" + path
	e := s.entries[key]
	switch part + " " + r.method {
	case "data GET":
		n, _ := strconv.Atoi(r.query.Get("version"))
		if e == nil || len(e.versions) == 0 || n > len(e.versions) {
			return refuse(404)
		}
		if n == 0 {
			n = len(e.versions)
		}
		one := e.versions[n-1]
		if one.gone {
			return refuse(404)
		}
		out := map[string]any{"data": one.data, "metadata": map[string]any{"version": n, "created_time": one.created.UTC().Format(time.RFC3339Nano), "deletion_time": cmp.Or(one.deleted, one.ends), "destroyed": one.destroyed}}
		if one.data == nil || one.deleted != "" {
			out["data"] = nil
			return reply{404, map[string]any{"data": out}}
		}
		return data(out)
	case "data POST", "data PUT":
		if e == nil {
			e = &entry{}
		}
		options, _ := r.body["options"].(map[string]any)
		cas, given := options["cas"].(json.Number)
		if !given && e.required {
			return refuse(400, "check-and-set parameter required for this call")
		}
		if n, _ := cas.Int64(); given && int(n) != len(e.versions) {
			return refuse(400, "check-and-set parameter did not match the current version")
		}
		content, ok := r.body["data"].(map[string]any)
		if !ok {
			return refuse(400, "no data provided")
		}
		made := version{data: content, created: s.now()}
		if e.lasts > 0 {
			made.ends = made.created.Add(e.lasts).UTC().Format(time.RFC3339Nano)
		}
		e.versions = append(e.versions, made)
		e.prune(m)
		s.entries[key] = e
		return data(map[string]any{"version": len(e.versions)})
	case "data DELETE":
		if e != nil && len(e.versions) > 0 {
			last := &e.versions[len(e.versions)-1]
			last.deleted = time.Now().UTC().Format(time.RFC3339)
		}
		return nothing
	case "undelete PUT", "undelete POST":
		if e != nil {
			for i := range e.versions {
				e.versions[i].deleted = ""
			}
		}
		return nothing
	case "destroy PUT", "destroy POST":
		if e != nil {
			list, _ := r.body["versions"].([]any)
			for _, x := range list {
				if n, err := strconv.Atoi(fmt.Sprint(x)); err == nil && n > 0 && n <= len(e.versions) && !e.versions[n-1].gone {
					e.versions[n-1] = version{destroyed: true}
				}
			}
		}
		return nothing
	case "metadata POST", "metadata PUT":
		if e == nil {
			e = &entry{}
			s.entries[key] = e
		}
		e.required, _ = r.body["cas_required"].(bool)
		e.most = whole(r.body["max_versions"])
		after, _ := r.body["delete_version_after"].(string)
		e.lasts, _ = time.ParseDuration(after)
		e.custom, _ = r.body["custom_metadata"].(map[string]any)
		return nothing
	case "config PUT", "config POST":
		m.keeps = whole(r.body["max_versions"])
		return nothing
	case "metadata GET":
		if e == nil {
			return refuse(404)
		}
		return data(map[string]any{"cas_required": e.required, "max_versions": e.most, "custom_metadata": e.custom, "current_version": len(e.versions), "versions": e.shown()})
	case "metadata DELETE":
		delete(s.entries, key)
		return nothing
	}
	return refuse(405, "unsupported operation")
}

// shown are an entry's versions as its metadata has them.
func (e *entry) shown() map[string]any {
	all := map[string]any{}
	for i, one := range e.versions {
		if !one.gone {
			all[strconv.Itoa(i+1)] = map[string]any{"created_time": one.created.UTC().Format(time.RFC3339Nano), "deletion_time": cmp.Or(one.deleted, one.ends), "destroyed": one.destroyed}
		}
	}
	return all
}

func (s *Server) kv1(key string, r request) reply {
	switch e := s.entries[key]; r.method {
	case "GET":
		if e == nil {
			return refuse(404)
		}
		return data(e.versions[0].data)
	case "POST", "PUT":
		s.entries[key] = &entry{versions: []version{{data: r.body}}}
	case "DELETE":
		delete(s.entries, key)
	}
	return nothing
}

// Shown are the texts that an entry of a KV v2 engine shows to those who read it.
func (s *Server) Shown(mount, path string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]string{}
	if e := s.entries[mount+"/"+path]; e != nil && len(e.versions) > 0 {
		for name, value := range e.versions[len(e.versions)-1].data {
			out[name] = fmt.Sprint(value)
		}
	}
	return out
}
