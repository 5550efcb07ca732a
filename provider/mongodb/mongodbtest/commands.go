package mongodbtest

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// The error codes that it answers, and their names.
const (
	errBadValue             = 2
	errUserNotFound         = 11
	errUnauthorized         = 13
	errProtocolError        = 17
	errAuthenticationFailed = 18
	errCommandNotFound      = 59
	errMechanismUnavailable = 334
	errUserExists           = 51003
)

var errorNames = map[int32]string{
	errBadValue: "BadValue", errUserNotFound: "UserNotFound", errUnauthorized: "Unauthorized", errProtocolError: "ProtocolError",
	errAuthenticationFailed: "AuthenticationFailed", errCommandNotFound: "CommandNotFound", errMechanismUnavailable: "MechanismUnavailable",
	errUserExists: "Location51003",
}

// failure is an error's answer.
func failure(code int32, text string) bson.D {
	return bson.D{{Key: "ok", Value: 0.0}, {Key: "errmsg", Value: text}, {Key: "code", Value: code}, {Key: "codeName", Value: errorNames[code]}}
}

func success(fields ...bson.E) bson.D { return append(fields, bson.E{Key: "ok", Value: 1.0}) }

// into reads a command's fields.
func into(command bson.D, fields any) error {
	raw, err := bson.Marshal(command)
	if err != nil {
		return err
	}
	return bson.Unmarshal(raw, fields)
}

// Run runs a command as a superuser, without a connection.
func (s *Server) Run(db string, command bson.D) bson.D {
	return s.answer(nil, append(command, bson.E{Key: "$db", Value: db}))
}

// answer carries out a command of a connection.
func (s *Server) answer(c *conn, command bson.D) bson.D {
	var in struct {
		DB    string `bson:"$db"`
		Await int64  `bson:"maxAwaitTimeMS"`
	}
	if err := into(command, &in); err != nil || len(command) == 0 {
		return failure(errBadValue, "the command can't be read")
	}
	if in.Await > 0 { // whoever asks wants to hear of changes, and there are none
		select {
		case <-time.After(time.Duration(in.Await) * time.Millisecond):
		case <-s.done:
		}
	}
	name := command[0].Key
	s.mu.Lock()
	defer s.mu.Unlock()
	if c != nil {
		s.sent = append(s.sent, name)
		if answer, ok := s.fails[name]; ok {
			delete(s.fails, name)
			return answer
		}
		if c.login != nil && (s.users[*c.login] == nil || !s.users[*c.login].meets(c.net)) {
			c.login = nil // a server looks at a user again after each change
		}
	}
	switch name {
	case "hello", "isMaster", "ismaster":
		return s.hello(c, name, command)
	case "ping":
		return success()
	case "saslStart":
		return s.saslStart(c, in.DB, command)
	case "saslContinue":
		return s.saslContinue(c, command)
	}
	if c != nil && c.login == nil && !s.options.Open {
		return failure(errUnauthorized, "Command "+name+" requires authentication")
	}
	switch name {
	case "connectionStatus":
		return s.connectionStatus(c)
	case "createUser":
		return s.createUser(c, in.DB, command)
	case "updateUser":
		return s.updateUser(c, in.DB, command)
	case "usersInfo":
		return s.usersInfo(c, in.DB, command)
	case "dropUser":
		return s.dropUser(c, in.DB, command)
	case "createRole":
		return s.createRole(c, in.DB, command)
	case "grantRolesToUser":
		return s.grantRoles(c, in.DB, command)
	case "aggregate":
		return s.currentOp(c, in.DB, command)
	case "find", "count":
		if !s.may(c, "find", in.DB) {
			return denied(in.DB, name)
		}
		if name == "count" {
			return success(bson.E{Key: "n", Value: int32(0)})
		}
		return cursor(in.DB, s.configuration(in.DB))
	case "endSessions":
		return success()
	}
	return failure(errCommandNotFound, "no such command: '"+name+"'")
}

func denied(db, command string) bson.D {
	return failure(errUnauthorized, "not authorized on "+db+" to execute command { "+command+": … }")
}

func cursor(db string, batch bson.A) bson.D {
	return success(bson.E{Key: "cursor", Value: bson.D{{Key: "id", Value: int64(0)}, {Key: "ns", Value: db + ".$cmd"}, {Key: "firstBatch", Value: batch}}})
}

// configuration is what a sharded cluster's config.version holds.
func (s *Server) configuration(db string) bson.A {
	if db != "config" || !s.options.Mongos {
		return bson.A{}
	}
	return bson.A{bson.D{{Key: "_id", Value: int32(1)}, {Key: "clusterId", Value: s.process}}}
}

func (s *Server) hello(c *conn, name string, command bson.D) bson.D {
	var in struct {
		Mechs  string `bson:"saslSupportedMechs"`
		Client struct {
			App struct {
				Name string `bson:"name"`
			} `bson:"application"`
		} `bson:"client"`
	}
	_ = into(command, &in)
	if c != nil && in.Client.App.Name != "" {
		c.app = in.Client.App.Name
	}
	primary := "isWritablePrimary"
	if name != "hello" {
		primary = "ismaster"
	}
	answer := bson.D{
		{Key: "helloOk", Value: true}, {Key: primary, Value: true}, {Key: "maxBsonObjectSize", Value: int32(16 << 20)},
		{Key: "maxMessageSizeBytes", Value: int32(maxMessage)}, {Key: "maxWriteBatchSize", Value: int32(100_000)}, {Key: "localTime", Value: time.Now()},
		{Key: "minWireVersion", Value: int32(0)}, {Key: "maxWireVersion", Value: int32(21)},
		{Key: "topologyVersion", Value: bson.D{{Key: "processId", Value: s.process}, {Key: "counter", Value: int64(0)}}},
	}
	if s.options.Mongos {
		answer = append(answer, bson.E{Key: "msg", Value: "isdbgrid"})
	}
	if s.options.ReplicaSet != "" {
		members := append([]string{s.Addr}, s.options.Others...)
		answer = append(answer, bson.E{Key: "setName", Value: s.options.ReplicaSet}, bson.E{Key: "setVersion", Value: int32(1)},
			bson.E{Key: "hosts", Value: members}, bson.E{Key: "me", Value: s.Addr}, bson.E{Key: "primary", Value: s.Addr}, bson.E{Key: "electionId", Value: s.process})
	}
	for who, u := range s.users {
		if in.Mechs == who.db+"."+who.name {
			answer = append(answer, bson.E{Key: "saslSupportedMechs", Value: u.Mechanisms()})
		}
	}
	return success(answer...)
}

// currentOp lists connections, whoever they're of.
func (s *Server) currentOp(c *conn, db string, command bson.D) bson.D {
	var in struct {
		Pipeline []struct {
			CurrentOp *struct {
				All  bool `bson:"allUsers"`
				Idle bool `bson:"idleConnections"`
			} `bson:"$currentOp"`
			Match *struct {
				Users struct {
					Match struct {
						User string `bson:"user"`
						DB   string `bson:"db"`
					} `bson:"$elemMatch"`
				} `bson:"effectiveUsers"`
			} `bson:"$match"`
		} `bson:"pipeline"`
	}
	if err := into(command, &in); err != nil || len(in.Pipeline) < 2 || in.Pipeline[0].CurrentOp == nil || in.Pipeline[1].Match == nil || db != "admin" {
		return failure(errBadValue, "the stand-in only has $currentOp with $match")
	}
	if in.Pipeline[0].CurrentOp.All && !s.may(c, "inprog", "") {
		return denied(db, "aggregate")
	}
	wanted := in.Pipeline[1].Match.Users.Match
	batch := bson.A{}
	for other := range s.conns {
		if other.login != nil && *other.login == (id{wanted.User, wanted.DB}) && in.Pipeline[0].CurrentOp.Idle {
			batch = append(batch, bson.D{{Key: "client", Value: other.net.RemoteAddr().String()}, {Key: "appName", Value: other.app}})
		}
	}
	return cursor(db, batch)
}

func (s *Server) connectionStatus(c *conn) bson.D {
	users, privileges := bson.A{}, []Privilege{}
	if c != nil && c.login != nil {
		users = append(users, bson.D{{Key: "user", Value: c.login.name}, {Key: "db", Value: c.login.db}})
		privileges = s.privileges(s.users[*c.login])
	}
	return success(bson.E{Key: "authInfo", Value: bson.D{
		{Key: "authenticatedUsers", Value: users}, {Key: "authenticatedUserRoles", Value: bson.A{}}, {Key: "authenticatedUserPrivileges", Value: privileges},
	}})
}
