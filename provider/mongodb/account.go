package mongodb

import (
	"context"
	"crypto/md5" //nolint:gosec // SCRAM-SHA-1 in MongoDB hashes passwords with it first
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/xdg-go/scram"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// account is a user as usersInfo shows it.
type account struct {
	User       string   `bson:"user"`
	DB         string   `bson:"db"`
	Mechanisms []string `bson:"mechanisms"`
	Proofs     struct {
		SHA256 *stored `bson:"SCRAM-SHA-256"`
		SHA1   *stored `bson:"SCRAM-SHA-1"`
	} `bson:"credentials"`
	CustomData   bson.D        `bson:"customData"`
	Roles        []role        `bson:"roles"`
	Restrictions []restriction `bson:"authenticationRestrictions"`
}

type role struct {
	Role string `bson:"role"`
	DB   string `bson:"db"`
}

// proofs are what the server keeps of the password, by mechanism.
func (a account) proofs() map[string]*stored {
	all := map[string]*stored{"SCRAM-SHA-256": a.Proofs.SHA256, "SCRAM-SHA-1": a.Proofs.SHA1}
	maps.DeleteFunc(all, func(_ string, s *stored) bool { return s == nil })
	return all
}

// passwordMechanisms are those that the user's password is for.
func (a account) passwordMechanisms() []string {
	proofs := a.proofs()
	return slices.DeleteFunc(slices.Clone(mechanisms), func(m string) bool { return proofs[m] == nil && !slices.Contains(a.Mechanisms, m) })
}

// stored is what the server keeps of a password.
type stored struct {
	Iterations int    `bson:"iterationCount"`
	Salt       string `bson:"salt"`
	StoredKey  string `bson:"storedKey"`
}

// restriction is one of the places that a login may come from and lead to.
type restriction struct {
	Client []string `bson:"clientSource,omitempty"`
	Server []string `bson:"serverAddress,omitempty"`
}

// String is the user as MongoDB's own messages have it.
func (a account) String() string { return a.User + "@" + a.DB }

// markKey is the field in a user's customData that Rota keeps its own note in.
const markKey = "rota"

// free is the note on a user whose password nobody knows.
const free = "free"

// note is what Rota keeps about a user that it has switched off.
type note struct {
	Off bool `bson:"off"`
	// Restrictions are the user's own, to be put back.
	Restrictions []restriction `bson:"authenticationRestrictions"`
}

// nowhere are restrictions that no login meets: the address is reserved for
// documentation, so nobody comes from it and no server has it.
var nowhere = []restriction{{Client: []string{"192.0.2.1"}, Server: []string{"192.0.2.1"}}}

// mark is Rota's note on the user.
func (a account) mark() (n note, isFree bool) {
	for _, field := range a.CustomData {
		if field.Key != markKey {
			continue
		}
		if text, ok := field.Value.(string); ok {
			return n, text == free
		}
		if raw, err := bson.Marshal(bson.D{{Key: "n", Value: field.Value}}); err == nil {
			var in struct {
				N note `bson:"n"`
			}
			if bson.Unmarshal(raw, &in) == nil {
				n = in.N
			}
		}
	}
	return n, false
}

// taken reports whether the field of Rota's note has something else in it, which
// somebody else has put there.
func (a account) taken() bool {
	n, isFree := a.mark()
	return !n.Off && !isFree && slices.ContainsFunc(a.CustomData, func(e bson.E) bool { return e.Key == markKey })
}

// isFree reports whether the user has a password that nobody knows.
func (a account) isFree() bool { _, isFree := a.mark(); return isFree }

// off reports whether Deactivate has locked the user out.
func (a account) off() bool { n, _ := a.mark(); return n.Off }

// restrictions are the user's own, even while it's switched off.
func (a account) restrictions() []restriction {
	if n, _ := a.mark(); n.Off {
		return n.Restrictions
	}
	return a.Restrictions
}

// custom is the user's customData without Rota's note.
func (a account) custom() bson.D {
	return slices.DeleteFunc(slices.Clone(a.CustomData), func(e bson.E) bool { return e.Key == markKey })
}

// unsettable says why the user's password can't be rotated, "" if it can.
func (a account) unsettable() string {
	if len(a.passwordMechanisms()) == 0 {
		return fmt.Sprintf("it has no SCRAM credentials, only %v", a.Mechanisms)
	}
	return ""
}

// matches compares what the server keeps with a password; known is false if it
// doesn't show it, or keeps it in a way that Rota doesn't know.
func (a account) matches(password string) (match, known bool) {
	for mechanism, s := range a.proofs() {
		salt, err := base64.StdEncoding.DecodeString(s.Salt)
		want, wrong := base64.StdEncoding.DecodeString(s.StoredKey)
		if err != nil || wrong != nil || s.Iterations < 1 {
			return false, false
		}
		made, err := derive(mechanism, a.User, password, scram.KeyFactors{Salt: string(salt), Iters: s.Iterations})
		if err != nil {
			return false, true // no client could send it
		}
		if subtle.ConstantTimeCompare(made, want) != 1 {
			return false, true
		}
		match, known = true, true // so far: the user has one for each mechanism
	}
	return match, known
}

// derive is what the server keeps for a password.
func derive(mechanism, user, password string, factors scram.KeyFactors) ([]byte, error) {
	var client *scram.Client
	var err error
	if mechanism == "SCRAM-SHA-1" {
		sum := md5.Sum([]byte(user + ":mongo:" + password)) //nolint:gosec // as above
		client, err = scram.SHA1.NewClientUnprepped(user, hex.EncodeToString(sum[:]), "")
	} else {
		client, err = scram.SHA256.NewClient(user, password, "")
	}
	if err != nil {
		return nil, err
	}
	made, err := client.GetStoredCredentialsWithError(factors)
	return made.StoredKey, err
}

// find reads users of a database by their names. What doesn't exist is left out.
func (c *Connection) find(ctx context.Context, op, database string, names ...string) ([]account, error) {
	wanted := bson.A{}
	for _, name := range names {
		wanted = append(wanted, bson.D{{Key: "user", Value: name}, {Key: "db", Value: database}})
	}
	var answer struct {
		Users []account `bson:"users"`
	}
	command := bson.D{{Key: "usersInfo", Value: wanted}, {Key: "showCredentials", Value: true}, {Key: "showAuthenticationRestrictions", Value: true}}
	if err := c.run(ctx, op, database, command, &answer); err != nil {
		return nil, err
	}
	return answer.Users, nil
}
