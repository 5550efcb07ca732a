package awstest

import (
	"slices"
	"strconv"
)

func (s *Server) createAccessKey(x *exchange) (any, *apiError) {
	u, e := s.user(x)
	if e != nil {
		return nil, e
	}
	if len(u.keys) >= maxKeys {
		return nil, fail(409, "LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: "+strconv.Itoa(maxKeys))
	}
	k := s.addKey(u)
	type xmlKey struct {
		UserName        string
		AccessKeyID     string `xml:"AccessKeyId"`
		Status          string
		SecretAccessKey string
		CreateDate      string
	}
	return struct{ AccessKey xmlKey }{xmlKey{u.name, k.id, "Active", k.secret, iso(k.created)}}, nil
}

func (s *Server) addKey(u *user) accessKey {
	k := accessKey{id: s.newID("AKIA"), secret: s.newSecretKey(), active: true, created: s.now()}
	s.owners[k.id] = u.name
	if s.failNew > 0 {
		s.newKeys[k.id] = &newKey{failFirst: s.failNew}
	}
	s.users.put(u.name, u.with(append(slices.Clone(u.keys), k)))
	return k
}

func (s *Server) listAccessKeys(x *exchange) (any, *apiError) {
	u, e := s.user(x)
	if e != nil {
		return nil, e
	}
	limit, after, e := paging(x)
	if e != nil {
		return nil, e
	}
	type member struct {
		UserName    string
		AccessKeyID string `xml:"AccessKeyId"`
		Status      string
		CreateDate  string
	}
	result := struct {
		UserName    string
		Keys        []member `xml:"AccessKeyMetadata>member"`
		IsTruncated bool
		Marker      string `xml:",omitempty"`
	}{UserName: u.name}
	keys := u.keys[min(after, len(u.keys)):]
	if len(keys) > limit {
		keys = keys[:limit]
		result.IsTruncated, result.Marker = true, marker(after+limit)
	}
	for _, k := range keys {
		result.Keys = append(result.Keys, member{u.name, k.id, status(k.active), iso(k.created)})
	}
	return result, nil
}

func status(active bool) string {
	if active {
		return "Active"
	}
	return "Inactive"
}

// keyOf finds the user and key for an update or a deletion.
func (s *Server) keyOf(x *exchange) (*user, int, *apiError) {
	u, e := s.user(x)
	if e != nil {
		return nil, 0, e
	}
	id := x.form.Get("AccessKeyId")
	i := slices.IndexFunc(u.keys, func(k accessKey) bool { return k.id == id })
	if i < 0 {
		return nil, 0, fail(404, "NoSuchEntity", "The Access Key with id "+id+" cannot be found.")
	}
	return u, i, nil
}

func (s *Server) updateAccessKey(x *exchange) *apiError {
	u, i, e := s.keyOf(x)
	if e != nil {
		return e
	}
	to := x.form.Get("Status")
	if to != "Active" && to != "Inactive" {
		return fail(400, "ValidationError", "Value at 'status' failed to satisfy constraint: Member must satisfy enum value set: [Active, Inactive]")
	}
	keys := slices.Clone(u.keys)
	keys[i].active = to == "Active"
	s.users.put(u.name, u.with(keys))
	return nil
}

func (s *Server) deleteAccessKey(x *exchange) *apiError {
	u, i, e := s.keyOf(x)
	if e != nil {
		return e
	}
	s.users.put(u.name, u.with(slices.Delete(slices.Clone(u.keys), i, i+1)))
	return nil
}

func (s *Server) getAccessKeyLastUsed(x *exchange) (any, *apiError) {
	id := x.form.Get("AccessKeyId")
	u := s.users.get(s.owners[id], x.stale)
	if u == nil || u.key(id) == nil {
		// The action has no error of its own: AWS doesn't distinguish between a
		// key that doesn't exist and one the caller has no access to.
		return nil, fail(403, codeDenied, "User: "+x.caller.arn+" is not authorized to perform: iam:GetAccessKeyLastUsed on resource: access key "+id)
	}
	type lastUsed struct {
		Region       string
		LastUsedDate string `xml:",omitempty"`
		ServiceName  string
	}
	last := lastUsed{Region: "N/A", ServiceName: "N/A"}
	if use, ok := s.lastUse(id); ok {
		last = lastUsed{Region: use.region, LastUsedDate: iso(use.at), ServiceName: use.service}
	}
	return struct {
		UserName          string
		AccessKeyLastUsed lastUsed
	}{u.name, last}, nil
}
