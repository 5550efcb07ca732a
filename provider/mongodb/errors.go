package mongodb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Error codes, from the server's error_codes.yml.
const (
	codeUserNotFound         = 11
	codeUnauthorized         = 13
	codeAuthenticationFailed = 18
	codeProtocolError        = 17
	codeMaxTimeExpired       = 50
	codeCommandNotFound      = 59
	codeUnwilling            = 100 // CannotSatisfyWriteConcern
	codeMechanismUnavailable = 334
	codeAtlas                = 8000
)

// elsewhere are the codes by which a server says that it isn't the primary, or is on
// its way to or from being one.
var elsewhere = []int32{91, 189, 10058, 10107, 11600, 11602, 13435, 13436}

// code is the server's error code, 0 if it didn't answer.
func code(err error) int32 {
	if e, ok := errors.AsType[mongo.CommandError](err); ok {
		return e.Code
	}
	return 0
}

// stop is an error that only a person can end.
func (c *Connection) stop(op string, err error, remedies []rota.Remedy) error {
	return c.fail(op, rota.ClassStop, err, remedies)
}

func (c *Connection) fail(op string, class rota.Class, err error, remedies []rota.Remedy) error {
	return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: class, Err: err, Remedies: remedies}
}

// failed turns an error of Rota's own login into a classified one whose text contains
// no secret. s is the session it came from, if there was one.
func (c *Connection) failed(ctx context.Context, op string, err error, s *session, used ...rota.Credential) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*rota.Error](err); ok {
		return err
	}
	err = reason(err, s)
	class, remedies := c.classify(ctx, err)
	var sentinel error
	if code(err) == codeUserNotFound {
		sentinel = rota.ErrNotFound
	}
	return c.fail(op, class, c.plain(ctx, err, sentinel, used...), remedies)
}

// refused is failed for a login with a rotated credential.
func (c *Connection) refused(ctx context.Context, op string, err error, s *session, used rota.Credential) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*rota.Error](err); ok {
		return err
	}
	err = reason(err, s)
	switch {
	case rejected(err):
		return c.fail(op, rota.ClassWait, c.plain(ctx, err, rota.ErrRefused, used), nil)
	case code(err) == codeUnauthorized:
		return c.stop(op, c.plain(ctx, err, nil, used), rota.Outside("db.grantRolesToUser for user "+used.Field(rota.FieldUsername)+", with a role that may do this"))
	case code(err) == codeMechanismUnavailable:
		return c.stop(op, c.plain(ctx, err, nil, used), rota.Outside("authenticationMechanisms with one of the user's mechanisms, at the server"))
	}
	return c.failed(ctx, op, err, nil, used)
}

// rejected reports whether a login was refused because of the password or the user.
// Restrictions of where a user may come from are answered alike.
func rejected(err error) bool {
	n := code(err)
	return n == codeAuthenticationFailed || n == codeAtlas && strings.Contains(err.Error(), "bad auth")
}

// reason is what a failed selection of a server hides.
func reason(err error, s *session) error {
	if s == nil || code(err) != 0 || !strings.Contains(err.Error(), "server selection") {
		return err
	}
	if why := s.why(); why != nil {
		return why
	}
	return err
}

// unconfirmed is what a change lacks that was made, but that not enough servers have
// confirmed; nil for any other error.
func unconfirmed(err error) *mongo.WriteConcernError {
	e, _ := errors.AsType[mongo.WriteException](err)
	return e.WriteConcernError
}

// classify says what can be done about an error.
func (c *Connection) classify(ctx context.Context, err error) (rota.Class, []rota.Remedy) {
	if concern := unconfirmed(err); concern != nil {
		if concern.Code == codeUnwilling {
			return rota.ClassStop, rota.Outside("bring back enough members of the replica set for a majority that has the data")
		}
		return rota.ClassWait, rota.Outside("see in rs.status() which members lag or are down")
	}
	switch n := code(err); {
	case n == 0:
		return c.unanswered(ctx, err)
	case n == codeAtlas && !rejected(err):
		return rota.ClassStop, rota.Outside("users of Atlas are managed by its Administration API alone, which provider http can call")
	case rejected(err), n == codeMechanismUnavailable:
		return rota.ClassStop, rota.Outside("check username, password, auth_source and auth_mechanism of connection " + c.name)
	case n == codeUnauthorized:
		return rota.ClassStop, append(rota.Outside("give it the role that this prints, as a user administrator"), rota.Command("rota policy mongodb")...)
	case n == codeUserNotFound:
		return rota.ClassStop, rota.Outside("the user's new name in rota.yaml, if it was renamed; or else db.createUser, with the roles its consumers need")
	case n == codeCommandNotFound:
		return rota.ClassStop, rota.Outside("a connection to MongoDB 4.4 or later")
	case n == codeMaxTimeExpired:
		return rota.ClassWait, rota.Outside("see in db.currentOp() what the server is busy with")
	case slices.Contains(elsewhere, n):
		return rota.ClassWait, rota.Outside("wait for the election to end; with direct, name the primary")
	case n == codeProtocolError, n >= 1 && n < 10, n == 14, n == 20, n == 72:
		return rota.ClassStop, nil
	}
	return rota.ClassWait, nil
}

// unanswered is classify for a server that said nothing.
func (c *Connection) unanswered(ctx context.Context, err error) (rota.Class, []rota.Remedy) {
	_, dns := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return rota.ClassWait, nil
	case errors.Is(err, errNoPrimary):
		return rota.ClassWait, rota.Outside("check hosts, direct and replica_set of connection " + c.name + ", and see in rs.status() that there's a primary")
	case errors.Is(err, errPlain):
		return rota.ClassStop, rota.Configure("tls", "tls: true for connection "+c.name+", with the host's name in its certificate; or direct: true")
	case provider.Untrusted(err):
		return rota.ClassStop, rota.Outside("tls_ca with the authority of the server's certificate, and the host name that it is made for")
	case provider.Plaintext(err):
		return rota.ClassStop, rota.Outside("net.tls.mode: requireTLS at the server")
	case strings.Contains(err.Error(), "incompatible") || strings.Contains(err.Error(), "wire version"):
		return rota.ClassStop, rota.Outside("a connection to MongoDB 4.4 or later")
	case dns, strings.Contains(err.Error(), "seed list"):
		return rota.ClassWait, rota.Outside("check hosts or srv of connection " + c.name + ", and the machine's DNS")
	case provider.TimedOut(err):
		return rota.ClassWait, rota.Outside(fmt.Sprintf("a longer timeout for connection %s, or see why MongoDB is slow; check that hosts lead to it and that no firewall is on the way", c.name))
	}
	return rota.ClassWait, rota.Outside(fmt.Sprintf("check hosts, tls and replica_set of connection %s, that MongoDB runs there, and that no firewall is on the way", c.name))
}

// plain returns an error with only the text. Its chain contains only the context's
// error or the sentinel.
func (c *Connection) plain(ctx context.Context, err, sentinel error, used ...rota.Credential) error {
	text, number := err.Error(), ""
	e, said := errors.AsType[mongo.CommandError](err)
	concern := unconfirmed(err)
	switch {
	case said && e.Code != 0:
		text = e.Message
		if i := strings.LastIndex(text, "("+e.Name+") "); e.Name != "" && i >= 0 {
			text = text[i+len(e.Name)+3:] // without the driver's words before it
		}
		number = fmt.Sprintf(" (error %d)", e.Code)
	case concern != nil:
		text = "it's set on the primary, but a majority of the replica set hasn't confirmed it: " + concern.Message
	case ctx.Err() != nil || provider.TimedOut(err):
		text = "no response in time"
	case provider.Plaintext(err):
		text = "what answers there doesn't speak TLS"
	case errors.Is(err, io.EOF), strings.Contains(text, "unexpected EOF"), strings.Contains(text, "socket was unexpectedly closed"):
		text = "the server closed the connection"
	}
	own := rota.NewCredential(map[string]string{rota.FieldPassword: c.cfg.Password})
	text = rota.Sanitize(errors.New(text), append(slices.Clone(used), own)...).Error()
	if number != "" {
		text = strings.TrimSuffix(text, ".") + number // only now: a password may end in a period
	}
	text = rota.Brief(rota.OneLine(text))
	if ctx.Err() != nil && !said {
		err = ctx.Err() // the driver may name another reason
	}
	return provider.Opaque(text, err, sentinel)
}
