package mongodbtest

import (
	"encoding/base64"
	"errors"

	"github.com/xdg-go/scram"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// exchange is a login that's on its way.
type exchange struct {
	talk *scram.ServerConversation
	db   string
}

// saslStart begins a login. The server is locked.
func (s *Server) saslStart(c *conn, db string, command bson.D) bson.D {
	var in struct {
		Mechanism string `bson:"mechanism"`
		Payload   []byte `bson:"payload"`
	}
	if err := into(command, &in); err != nil {
		return failure(errBadValue, err.Error())
	}
	hash := scram.SHA256
	switch in.Mechanism {
	case "SCRAM-SHA-256":
	case "SCRAM-SHA-1":
		hash = scram.SHA1
	default:
		return failure(errMechanismUnavailable, "Received authentication for mechanism "+in.Mechanism+" which is not enabled")
	}
	var without bool
	server, err := hash.NewServer(func(name string) (scram.StoredCredentials, error) {
		u := s.users[id{name, db}]
		if u == nil {
			return scram.StoredCredentials{}, errors.New("no such user")
		}
		kept, ok := u.Credentials[in.Mechanism]
		if !ok {
			without = true
			return scram.StoredCredentials{}, errors.New("no credentials")
		}
		return stored(kept), nil
	})
	if err != nil {
		return failure(errBadValue, err.Error())
	}
	c.login, c.sasl = nil, &exchange{server.NewConversation(), db}
	answer, err := c.sasl.talk.Step(string(in.Payload))
	switch {
	case without:
		return failure(errMechanismUnavailable, "Unable to use "+in.Mechanism+" based authentication for user without any "+in.Mechanism+" credentials registered")
	case err != nil:
		return failure(errAuthenticationFailed, "Authentication failed.")
	}
	return said(answer, false)
}

// saslContinue goes on with a login, and ends it. The server is locked.
func (s *Server) saslContinue(c *conn, command bson.D) bson.D {
	var in struct {
		Payload []byte `bson:"payload"`
	}
	if err := into(command, &in); err != nil || c.sasl == nil {
		return failure(errProtocolError, "No SASL session state found")
	}
	if c.sasl.talk.Done() {
		return said("", true)
	}
	answer, err := c.sasl.talk.Step(string(in.Payload))
	who := id{c.sasl.talk.Username(), c.sasl.db}
	u := s.users[who]
	if err != nil || !c.sasl.talk.Valid() || u == nil || !u.meets(c.net) {
		c.sasl = nil
		return failure(errAuthenticationFailed, "Authentication failed.")
	}
	c.login = &who
	return said(answer, true)
}

func said(payload string, done bool) bson.D {
	return success(bson.E{Key: "conversationId", Value: int32(1)}, bson.E{Key: "done", Value: done}, bson.E{Key: "payload", Value: []byte(payload)})
}

func stored(c Credential) scram.StoredCredentials {
	decode := func(text string) []byte {
		raw, _ := base64.StdEncoding.DecodeString(text)
		return raw
	}
	return scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(decode(c.Salt)), Iters: c.Iterations},
		StoredKey:  decode(c.StoredKey), ServerKey: decode(c.ServerKey),
	}
}
