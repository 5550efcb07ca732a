package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/rota-dev/rota"
)

// Test logs in with the credential, and checks that the user has all that the other
// one of a pair has.
func (u *users) Test(ctx context.Context, t rota.TestRequest) error {
	name := u.CredentialID(t.Credential)
	op := "log in as user " + name
	if err := u.login(ctx, op, t.Credential); err != nil {
		return err
	}
	missing, err := u.lacks(ctx, op, name)
	if err == nil && len(missing) > 0 {
		err = u.conn.stop(op, fmt.Errorf("it logs in but lacks what the other user has: %s", list(missing)), rota.Outside(level))
	}
	return err
}

// login logs in over AMQP, or else over the management API.
func (u *users) login(ctx context.Context, op string, c rota.Credential) error {
	if c.Field(rota.FieldUsername) == "" || c.Field(rota.FieldPassword) == "" {
		return u.conn.stop(op, errors.New("the credential has no username or no password"), nil)
	}
	if u.conn.amqp != nil {
		err := u.conn.open(ctx, op, c, u.vhost)
		if e, ok := errors.AsType[*rota.Error](err); ok && errors.Is(err, rota.ErrRefused) {
			// The answer is the same for a user that may only log in from elsewhere.
			if inForce, known, askErr := u.InForce(ctx, c); askErr == nil && known && inForce {
				e.Remedies = rota.Outside("see RabbitMQ's log: it's the user's password, so loopback_users may forbid the login from here, or auth_backends ask something else for passwords")
			}
		}
		return err
	}
	err := u.conn.do(ctx, call{op: op, method: http.MethodGet, path: "/whoami", login: c, used: []rota.Credential{c}}, nil)
	if !errors.Is(err, rota.ErrRefused) {
		return err
	}
	// The answer is the same for a user that may not use the management API.
	if inForce, known, askErr := u.InForce(ctx, c); askErr == nil && known && inForce {
		return u.conn.stop(op, errors.New("user "+c.Field(rota.FieldUsername)+" may not log in to the management API, and connection "+u.conn.name+" has no amqp address"),
			rota.Configure("amqp", "amqp: amqps://mq.internal for connection "+u.conn.name))
	}
	return err
}

// open logs in over AMQP and closes the connection again. Without a virtual host
// that must open, a login counts as soon as the password was accepted.
func (c *Connection) open(ctx context.Context, op string, used rota.Credential, vhost string) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	properties := amqp.Table{"product": "Rota", "connection_name": "rota: test of a password"}
	cfg := amqp.Config{
		Vhost: vhost, Properties: properties, Heartbeat: c.cfg.Timeout,
		SASL: []amqp.Authentication{&outspoken{amqp.PlainAuth{Username: used.Field(rota.FieldUsername), Password: used.Field(rota.FieldPassword)}, properties}},
		Dial: func(network, address string) (net.Conn, error) {
			conn, err := c.cfg.Reach.Dialer(0).DialContext(ctx, network, address)
			if err == nil {
				context.AfterFunc(ctx, func() { _ = conn.Close() })
			}
			return conn, err
		},
	}
	if vhost == "" {
		cfg.Vhost = "/"
	}
	if c.amqp.Scheme == "amqps" {
		cfg.TLSClientConfig = c.tls.Clone()
	}
	conn, err := amqp.DialConfig(c.amqp.Scheme+"://"+c.amqp.Host, cfg)
	if err == nil {
		_ = conn.Close()
		return nil
	}
	answer, said := errors.AsType[*amqp.Error](err)
	switch {
	case !said || ctx.Err() != nil:
		return c.unreached(ctx, op, err, "amqp")
	case err == amqp.ErrCredentials || err == amqp.ErrVhost || err == amqp.ErrSASL: //nolint:errorlint // these very values: the broker has said nothing
		return c.fail(op, rota.ClassWait, errors.New("the server closed the connection"), rota.Outside(c.strange()))
	}
	why := errors.New(c.clean(answer.Reason, used))
	switch {
	case answer.Code == amqp.AccessRefused && strings.Contains(answer.Reason, "PLAIN"):
		return c.fail(op, rota.ClassWait, fmt.Errorf("%w: %w", rota.ErrRefused, why), nil)
	case answer.Code == amqp.NotAllowed && vhost == "":
		return nil // the password was right: this is about the virtual host, or about a limit
	case answer.Code == amqp.NotAllowed && strings.Contains(answer.Reason, "limit"):
		return c.fail(op, rota.ClassWait, why, rota.Outside("raise the limit of connections, or close some"))
	case answer.Code == amqp.NotAllowed && strings.Contains(answer.Reason, "not found"):
		return c.stop(op, why, rota.Outside(add(vhost)))
	case answer.Code == amqp.NotAllowed:
		return c.stop(op, why, rota.Outside(permit(vhost, used.Field(rota.FieldUsername))))
	}
	return c.fail(op, rota.ClassWait, why, rota.Outside(c.strange()))
}

// strange is what a person can do about a login that ended in no usual way.
func (c *Connection) strange() string {
	return "see RabbitMQ's log, and that AMQP is what's spoken at amqp of connection " + c.name
}

// outspoken has the broker say why it refuses a login. Otherwise it closes the
// connection after a few seconds, as if the network had failed. The client adds its
// capabilities right before it asks for this response.
type outspoken struct {
	amqp.PlainAuth
	properties amqp.Table
}

// Response implements [amqp.Authentication].
func (o *outspoken) Response() string {
	if capabilities, ok := o.properties["capabilities"].(amqp.Table); ok {
		capabilities["authentication_failure_close"] = true
	}
	return o.PlainAuth.Response()
}
