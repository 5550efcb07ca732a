package mongodbtest

import (
	"crypto/md5" //nolint:gosec // SCRAM-SHA-1 in MongoDB hashes passwords with it first
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/xdg-go/scram"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// id is a user's or a role's name, and the database that it's in.
type id struct{ name, db string }

// User is what the server keeps of a user.
type User struct {
	Credentials  map[string]Credential
	CustomData   bson.D
	Roles        []Role
	Restrictions []Restriction
}

// Credential is what's kept of a password, as base64.
type Credential struct {
	Iterations int    `bson:"iterationCount"`
	Salt       string `bson:"salt"`
	StoredKey  string `bson:"storedKey"`
	ServerKey  string `bson:"serverKey"`
}

// Role names a role.
type Role struct {
	Role string `bson:"role"`
	DB   string `bson:"db"`
}

// Restriction is one of the places that a login may come from and lead to.
type Restriction struct {
	Client []string `bson:"clientSource,omitempty"`
	Server []string `bson:"serverAddress,omitempty"`
}

// Privilege is what a role allows.
type Privilege struct {
	Resource Resource `bson:"resource"`
	Actions  []string `bson:"actions"`
}

// Resource is what a privilege is on.
type Resource struct {
	DB         *string `bson:"db,omitempty"`
	Collection *string `bson:"collection,omitempty"`
	Cluster    bool    `bson:"cluster,omitempty"`
	Any        bool    `bson:"anyResource,omitempty"`
}

// Mechanisms are the user's.
func (u *User) Mechanisms() []string {
	var all []string
	for _, m := range []string{"SCRAM-SHA-1", "SCRAM-SHA-256"} {
		if _, ok := u.Credentials[m]; ok {
			all = append(all, m)
		}
	}
	return all
}

// User is a copy of what's kept of a user; nil if there's none.
func (s *Server) User(db, name string) *User {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[id{name, db}]
	if u == nil {
		return nil
	}
	clone := *u
	return &clone
}

// iterations is the least that drivers accept: servers take more.
const iterations = 4096

// credentials are what's kept of a password.
func credentials(user, password string, mechanisms []string) (map[string]Credential, error) {
	all := map[string]Credential{}
	for _, mechanism := range mechanisms {
		salt := make([]byte, 16)
		_, _ = rand.Read(salt) // never fails
		made, err := derive(mechanism, user, password, scram.KeyFactors{Salt: string(salt), Iters: iterations})
		if err != nil {
			return nil, err
		}
		base := base64.StdEncoding.EncodeToString
		all[mechanism] = Credential{iterations, base(salt), base(made.StoredKey), base(made.ServerKey)}
	}
	return all, nil
}

// derive is what's kept of a password.
func derive(mechanism, user, password string, factors scram.KeyFactors) (scram.StoredCredentials, error) {
	client, err := scram.SHA256.NewClient(user, password, "")
	if mechanism == "SCRAM-SHA-1" {
		sum := md5.Sum([]byte(user + ":mongo:" + password)) //nolint:gosec // as above
		client, err = scram.SHA1.NewClientUnprepped(user, hex.EncodeToString(sum[:]), "")
	}
	if err != nil {
		return scram.StoredCredentials{}, err
	}
	return client.GetStoredCredentialsWithError(factors)
}

// meets reports whether a connection fulfills one of the user's restrictions.
func (u *User) meets(c net.Conn) bool {
	if len(u.Restrictions) == 0 {
		return true
	}
	return slices.ContainsFunc(u.Restrictions, func(r Restriction) bool {
		return within(c.RemoteAddr(), r.Client) && within(c.LocalAddr(), r.Server)
	})
}

// within reports whether an address is in one of the ranges; of none, all are.
func within(a net.Addr, ranges []string) bool {
	at, err := netip.ParseAddrPort(a.String())
	return len(ranges) == 0 || err == nil && slices.ContainsFunc(ranges, func(text string) bool {
		if !strings.Contains(text, "/") {
			one, err := netip.ParseAddr(text)
			return err == nil && one == at.Addr().Unmap()
		}
		prefix, err := netip.ParsePrefix(text)
		return err == nil && prefix.Contains(at.Addr().Unmap())
	})
}

// builtin are the roles that are there without anyone making them, as far as tests
// need them.
func builtin(r Role) []Privilege {
	none, db := "", r.DB
	on := Resource{DB: &db, Collection: &none}
	switch r.Role {
	case "root":
		return []Privilege{{Resource{Any: true}, []string{"anyAction"}}}
	case "read":
		return []Privilege{{on, []string{"find", "collStats", "dbStats", "listCollections"}}}
	case "readWrite":
		return append(builtin(Role{"read", r.DB}), Privilege{on, []string{"insert", "update", "remove"}})
	}
	return nil
}

// privileges are all that a user's roles allow. The server is locked.
func (s *Server) privileges(u *User) []Privilege {
	all := []Privilege{}
	for _, r := range u.Roles {
		all = append(all, builtin(r)...)
		all = append(all, s.roles[id{r.Role, r.DB}]...)
	}
	return all
}

// may reports whether a connection's user may do something on a database, or on the
// cluster if that's "". The server is locked.
func (s *Server) may(c *conn, action, db string) bool {
	if c == nil || s.options.Open {
		return true
	}
	if c.login == nil || s.users[*c.login] == nil {
		return false
	}
	return slices.ContainsFunc(s.privileges(s.users[*c.login]), func(p Privilege) bool {
		r := p.Resource
		on := r.Any || db == "" && r.Cluster || db != "" && r.DB != nil && (*r.DB == "" || *r.DB == db)
		return on && (slices.Contains(p.Actions, action) || slices.Contains(p.Actions, "anyAction"))
	})
}

// Accepts reports whether a password is the user's, by what's kept for its first
// mechanism. It doesn't look at restrictions.
func (u *User) Accepts(name, password string) bool {
	for mechanism, kept := range u.Credentials {
		salt, err := base64.StdEncoding.DecodeString(kept.Salt)
		if err != nil {
			return false
		}
		made, err := derive(mechanism, name, password, scram.KeyFactors{Salt: string(salt), Iters: kept.Iterations})
		return err == nil && base64.StdEncoding.EncodeToString(made.StoredKey) == kept.StoredKey
	}
	return false
}
