//go:build linux

package canary

import (
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/mongodb/mongodbtest"
)

// careless is a stand-in for MongoDB that repeats the commands that it refuses.
type careless struct {
	*mongodbtest.Server
	admin string // the administrator's password
}

// mongoDBs are a FerretDB with the users doc and doc2, and a stand-in with the pair
// that FerretDB can't have. Rota administers both.
func mongoDBs(t *testing.T, admin string) (*testenv.FerretDBServer, careless) {
	t.Helper()
	ferret := testenv.FerretDB(t, testenv.FerretDBOptions{})
	ferret.Do(t, "admin", user("rota", admin))
	for _, name := range []string{"doc", "doc2"} {
		ferret.Do(t, "admin", user(name, "nobody-knows-this"))
	}
	server, err := mongodbtest.New(mongodbtest.Options{Echo: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	s := careless{server, admin}
	s.grant("root")
	for _, name := range []string{"doc_a", "doc_b"} {
		server.Run("admin", append(user(name, "nobody-knows-this", mongodbtest.Role{Role: "read", DB: "shop"}),
			bson.E{Key: "customData", Value: bson.D{{Key: "rota", Value: "free"}}}))
	}
	return ferret, s
}

// grant makes Rota's user anew, with one role.
func (s careless) grant(role string) {
	s.Run("admin", bson.D{{Key: "dropUser", Value: "rota"}})
	s.Run("admin", user("rota", s.admin, mongodbtest.Role{Role: role, DB: "admin"}))
}

// refuse has the next command of a name refused.
func (s careless) refuse(command string) {
	s.Fail(command, bson.D{{Key: "ok", Value: 0.0}, {Key: "errmsg", Value: "no"}, {Key: "code", Value: int32(2)}, {Key: "codeName", Value: "BadValue"}})
}

// tried are the commands that arrived, each once.
func (s careless) tried() []string {
	return slices.Compact(slices.Sorted(slices.Values(s.Sent())))
}

// user is the command that creates a user.
func user(name, password string, roles ...mongodbtest.Role) bson.D {
	return bson.D{{Key: "createUser", Value: name}, {Key: "pwd", Value: password}, {Key: "roles", Value: append([]mongodbtest.Role{}, roles...)}}
}
