package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// answer is the text of an error that the server returned, "" for any other.
func answer(err error) string {
	if e, ok := errors.AsType[redis.Error](err); ok && !errors.Is(err, redis.Nil) {
		return e.Error()
	}
	return ""
}

// stop is an error that only a person can end.
func (c *Connection) stop(op string, err error, remedies []rota.Remedy) error {
	return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: rota.ClassStop, Err: err, Remedies: remedies}
}

// failed turns an error of Rota's own connections into a classified one whose text
// contains no secret.
func (c *Connection) failed(ctx context.Context, op string, err error, used ...rota.Credential) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*rota.Error](err); ok {
		return err
	}
	class, remedies := c.classify(ctx, err)
	return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: class, Remedies: remedies, Err: c.plain(ctx, err, nil, used...)}
}

// refused is failed for a login with a rotated credential.
func (c *Connection) refused(ctx context.Context, op string, err error, used rota.Credential) error {
	switch text := answer(err); {
	case err == nil:
		return nil
	case rejected(text):
		return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: rota.ClassWait, Err: c.plain(ctx, err, rota.ErrRefused, used)}
	case strings.HasPrefix(text, "NOPERM"):
		return c.stop(op, c.plain(ctx, err, nil, used), rota.Outside(grant(used.Field(rota.FieldUsername), text)))
	}
	return c.failed(ctx, op, err, used)
}

// rejected reports whether an answer rejects a login.
func rejected(text string) bool {
	return strings.HasPrefix(text, "WRONGPASS") || strings.HasPrefix(text, "NOAUTH") || strings.HasPrefix(text, "ERR invalid password")
}

// deniedCommand finds the command in what a server says about a missing permission.
var deniedCommand = regexp.MustCompile(`run the '([a-z0-9_.|-]+)' command`)

// grant is what allows what the answer denies.
func grant(user, text string) string {
	if found := deniedCommand.FindStringSubmatch(text); found != nil {
		return "ACL SETUSER " + user + " +" + found[1]
	}
	return "give user " + user + " the keys and channels that the command needs"
}

// classify says what can be done about an error.
func (c *Connection) classify(ctx context.Context, err error) (rota.Class, []rota.Remedy) {
	text := answer(err)
	switch {
	case errors.Is(err, errForgets):
		return rota.ClassStop, rota.Outside("start the server with an aclfile or a configuration file; or persist: none, if what starts it creates the users")
	case ctx.Err() != nil && text == "":
		if errors.Is(ctx.Err(), context.Canceled) {
			return rota.ClassWait, nil
		}
		return rota.ClassWait, c.unreached()
	case provider.Untrusted(err):
		return rota.ClassStop, rota.Outside("tls_ca with the authority of the server's certificate, and the host name that it is made for")
	case provider.Plaintext(err):
		return rota.ClassStop, rota.Outside("the server's tls-port, or tls: false where nobody can listen in")
	case text == "":
		return rota.ClassWait, c.unreached()
	case rejected(text):
		return rota.ClassStop, rota.Outside(fmt.Sprintf("check username and password of connection %s, and that the user is on", c.name))
	case strings.HasPrefix(text, "NOPERM"):
		return rota.ClassStop, rota.Outside(grant(c.cfg.Username, text))
	case strings.HasPrefix(text, "DENIED"):
		return rota.ClassStop, rota.Outside("the server's protected mode: bind it to an address and give every user a password")
	case strings.Contains(text, "max number of clients reached"):
		return rota.ClassWait, rota.Outside("raise maxclients, or close some connections")
	}
	if remedies := persistRemedies(text); remedies != nil {
		return rota.ClassWait, remedies
	}
	if strings.HasPrefix(text, "ERR ") {
		return rota.ClassStop, nil
	}
	return rota.ClassWait, nil // LOADING, BUSY, MISCONF, OOM and the like
}

// unreached is what a person can do about a server that doesn't answer.
func (c *Connection) unreached() []rota.Remedy {
	return rota.Outside(fmt.Sprintf("check the addresses and tls of connection %s, that the server runs there, and that no firewall is on the way", c.name))
}

// plain returns an error with only the text. Its chain contains only the context's
// error or the sentinel.
func (c *Connection) plain(ctx context.Context, err, sentinel error, used ...rota.Credential) error {
	text := err.Error()
	switch {
	case answer(err) != "":
		text = answer(err)
	case provider.TimedOut(err):
		text = "no response in time"
	case errors.Is(err, io.EOF):
		text = "the server closed the connection"
	}
	own := rota.NewCredential(map[string]string{rota.FieldPassword: c.cfg.Password})
	all := append(slices.Clone(used), own)
	for _, u := range used { // what is sent and what the server keeps
		if password := u.Field(rota.FieldPassword); password != "" {
			all = append(all, rota.NewCredential(map[string]string{"hash": hashOf(password)}))
		}
	}
	text = rota.Sanitize(errors.New(text), all...).Error()
	text = strings.Join(strings.Fields(text), " ")
	if ctx.Err() != nil {
		err = ctx.Err() // go-redis may name another reason
	}
	return provider.Opaque(text, err, sentinel)
}
