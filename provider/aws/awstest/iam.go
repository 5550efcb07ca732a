package awstest

import (
	"encoding/base64"
	"regexp"
	"strconv"
	"time"
)

const maxKeys = 2 // access keys per user, active or not

// user is an IAM user. Table rows are never changed in place.
type user struct {
	name, path, arn, id string
	created             time.Time
	keys                []accessKey // in creation order
	console             bool        // has a password
}

type accessKey struct {
	id, secret string
	active     bool
	created    time.Time
}

func (u *user) key(id string) *accessKey {
	for i := range u.keys {
		if u.keys[i].id == id {
			return &u.keys[i]
		}
	}
	return nil
}

// with returns a copy of the user with different keys.
func (u *user) with(keys []accessKey) *user {
	c := *u
	c.keys = keys
	return &c
}

func (s *Server) iam(x *exchange) (any, *apiError) {
	switch x.action {
	case "CreateUser":
		return s.createUser(x)
	case "GetUser":
		return s.getUser(x)
	case "DeleteUser":
		return nil, s.deleteUser(x)
	case "ListUsers":
		return s.listUsers(x)
	case "CreateAccessKey":
		return s.createAccessKey(x)
	case "ListAccessKeys":
		return s.listAccessKeys(x)
	case "UpdateAccessKey":
		return nil, s.updateAccessKey(x)
	case "DeleteAccessKey":
		return nil, s.deleteAccessKey(x)
	case "GetAccessKeyLastUsed":
		return s.getAccessKeyLastUsed(x)
	case "SimulatePrincipalPolicy":
		return s.simulatePrincipalPolicy(x)
	case "GenerateCredentialReport":
		return s.generateCredentialReport(), nil
	case "GetCredentialReport":
		return s.getCredentialReport()
	case "GetAccountSummary":
		return accountSummary, nil
	}
	return nil, unknownAction(x)
}

type xmlUser struct {
	Path       string
	UserName   string
	UserID     string `xml:"UserId"`
	Arn        string
	CreateDate string
}

func (u *user) xml() xmlUser {
	return xmlUser{Path: u.path, UserName: u.name, UserID: u.id, Arn: u.arn, CreateDate: iso(u.created)}
}

var userName = regexp.MustCompile(`^[\w+=,.@-]{1,64}$`)

func (s *Server) createUser(x *exchange) (any, *apiError) {
	name, path := x.form.Get("UserName"), x.form.Get("Path")
	if path == "" {
		path = "/"
	}
	if !userName.MatchString(name) {
		return nil, fail(400, "ValidationError", "The specified value for userName is invalid.")
	}
	if s.users.get(name, false) != nil {
		return nil, fail(409, "EntityAlreadyExists", "User with name "+name+" already exists.")
	}
	return struct{ User xmlUser }{s.addUser(name, path).xml()}, nil
}

func (s *Server) addUser(name, path string) *user {
	u := &user{
		name: name, path: path, id: s.newID("AIDA"), created: s.now(),
		arn: "arn:aws:iam::" + s.account + ":user" + path + name,
	}
	s.users.put(name, u)
	return u
}

func (s *Server) getUser(x *exchange) (any, *apiError) {
	u, e := s.user(x)
	if e != nil {
		return nil, e
	}
	return struct{ User xmlUser }{u.xml()}, nil
}

func (s *Server) deleteUser(x *exchange) *apiError {
	u, e := s.user(x)
	if e != nil {
		return e
	}
	if len(u.keys) > 0 {
		return fail(409, "DeleteConflict", "Cannot delete entity, must delete access keys first.")
	}
	s.users.put(u.name, nil)
	return nil
}

func (s *Server) listUsers(x *exchange) (any, *apiError) {
	limit, after, e := paging(x)
	if e != nil {
		return nil, e
	}
	users, next := s.users.page(after, limit, x.stale, func(*user) bool { return true })
	result := struct {
		Users       []xmlUser `xml:"Users>member"`
		IsTruncated bool
		Marker      string `xml:",omitempty"`
	}{IsTruncated: next > 0, Marker: marker(next)}
	for _, u := range users {
		result.Users = append(result.Users, u.xml())
	}
	return result, nil
}

// user returns the user that a request names, or the caller if it names none.
func (s *Server) user(x *exchange) (*user, *apiError) {
	name := x.form.Get("UserName")
	if name == "" {
		name = x.caller.user
	}
	if name == "" {
		return nil, fail(400, "ValidationError", "Must specify userName when calling with non-User credentials")
	}
	u := s.users.get(name, x.stale && isRead(x.action))
	if u == nil {
		return nil, fail(404, "NoSuchEntity", "The user with name "+name+" cannot be found.")
	}
	return u, nil
}

func isRead(action string) bool { return action == "GetUser" || action == "ListAccessKeys" }

// paging reads MaxItems (1 to 1000, default 100) and Marker.
func paging(x *exchange) (limit, after int, e *apiError) {
	limit = 100
	if text := x.form.Get("MaxItems"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1000 {
			return 0, 0, fail(400, "ValidationError", "Value at 'maxItems' failed to satisfy constraint: it must be from 1 to 1000")
		}
		limit = n
	}
	after, ok := position(x.form.Get("Marker"))
	if !ok {
		return 0, 0, fail(400, "ValidationError", "Invalid Marker.")
	}
	return limit, after, nil
}

// marker encodes a position in a list as an opaque token; position decodes it.
func marker(at int) string {
	if at == 0 {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte("at:" + strconv.Itoa(at)))
}

func position(token string) (at int, ok bool) {
	if token == "" {
		return 0, true
	}
	text, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(text) < 4 {
		return 0, false
	}
	at, err = strconv.Atoi(string(text[3:]))
	return at, err == nil && at > 0 && marker(at) == token
}
