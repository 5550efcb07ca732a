package rabbitmq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
)

// account is a user as the management API shows it.
type account struct {
	Name      string `json:"name"`
	Hash      string `json:"password_hash"`
	Algorithm string `json:"hashing_algorithm"`
	// Tags are a list, or one text with commas before 3.9. A change of the password
	// sends them back as they are, because it replaces them.
	Tags json.RawMessage `json:"tags"`
}

// tags are the user's.
func (a account) tags() []string {
	var list []string
	if json.Unmarshal(a.Tags, &list) == nil {
		return list
	}
	var text string
	_ = json.Unmarshal(a.Tags, &text)
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
}

// users are those of one secret: what both ways of rotating share.
type users struct {
	conn  *Connection
	names []string
	vhost string // that a login must be able to open; "" for any
	rules rota.PasswordRules
}

// newUsers checks names before using them.
func (c *Connection) newUsers(rules rota.PasswordRules, vhost string, names ...string) (users, error) {
	for i, name := range names {
		switch {
		case name == "":
			return users{}, fmt.Errorf("%s: the user's name is empty", c.system())
		case name == c.cfg.Username:
			return users{}, rota.WithRemedies(fmt.Errorf("%s: user %s is the one Rota logs in as, so Rota would lock itself out", c.system(), name), rota.Configure("", "a connection with a user of its own"))
		case slices.Contains(names[:i], name):
			return users{}, rota.WithRemedies(fmt.Errorf("%s: user %q is named twice", c.system(), name), rota.Configure("", "two users with the same permissions"))
		}
	}
	if err := rules.Validate(); err != nil {
		return users{}, fmt.Errorf("%s: user %s: password: %w", c.system(), names[0], err)
	}
	return users{conn: c, names: names, vhost: vhost, rules: rules}, nil
}

// CredentialID is the user's name.
func (u *users) CredentialID(c rota.Credential) string { return c.Field(rota.FieldUsername) }

// Names implements [rota.Namer].
func (u *users) Names() []string { return u.names }

// Complete implements [rota.Completer]: it adds the user if there's only one.
func (u *users) Complete(c rota.Credential) rota.Credential {
	all := map[string]string{}
	if len(u.names) == 1 {
		all[rota.FieldUsername] = u.names[0]
	}
	maps.Copy(all, c.Fields())
	return rota.NewCredential(all)
}

// generate generates a new password for a user, and touches nothing.
func (u *users) generate(name string) (rota.Credential, error) {
	password, err := u.rules.Generate(nil)
	if err != nil {
		return rota.Credential{}, fmt.Errorf("%s: user %s: %w", u.conn.system(), name, err)
	}
	return rota.NewCredential(map[string]string{rota.FieldUsername: name, rota.FieldPassword: password}), nil
}

// read is one of the secret's users. Others are rejected.
func (u *users) read(ctx context.Context, op, name string) (a account, err error) {
	if !slices.Contains(u.names, name) {
		return a, u.conn.stop(op, fmt.Errorf("user %q isn't one of this secret's: %s", name, strings.Join(u.names, ", ")), rota.Outside("a stored credential whose username is one of them"))
	}
	var shown struct {
		account
		Hash *string `json:"password_hash"`
		// Has is what RabbitMQ shows instead of the hash from 4.4 on.
		Has *bool `json:"has_password"`
	}
	err = u.conn.get(ctx, op, path("users", name), &shown)
	a = shown.account
	switch {
	case errors.Is(err, rota.ErrNotFound):
		err = u.listed(ctx, op, name, err)
	case err != nil:
	case a.Name != name:
		err = u.conn.stop(op, errors.New("what answers there isn't RabbitMQ's management API"), rota.Outside("correct the url of connection "+u.conn.name))
	case shown.Hash != nil:
		a.Hash = *shown.Hash
	case shown.Has == nil || *shown.Has: // without it, its password would count as none
		a.Hash, a.Algorithm, err = u.exported(ctx, op, name)
	}
	return a, err
}

// listed returns why a user that's in the list of all isn't found by its name, or
// notFound if it's not there. A proxy that decodes a slash in the name asks for another
// one, and the user would count as gone.
func (u *users) listed(ctx context.Context, op, name string, notFound error) error {
	var all []account
	if err := u.conn.get(ctx, op, "/users?columns=name", &all); err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(a account) bool { return a.Name == name }) {
		return notFound
	}
	return u.conn.stop(op, fmt.Errorf("user %q is there, but isn't found by its name: something in between changes the path", name),
		rota.Outside("have the proxy at url of connection "+u.conn.name+" pass paths on as they are: AllowEncodedSlashes NoDecode and nocanon in Apache, proxy_pass without a path in nginx"))
}

// exported is a user's hash from the definitions, which show it where the user
// doesn't.
func (u *users) exported(ctx context.Context, op, name string) (hash, algorithm string, err error) {
	var all struct{ Users []account }
	if err := u.conn.get(ctx, op, "/definitions", &all); err != nil {
		return "", "", err
	}
	i := slices.IndexFunc(all.Users, func(a account) bool { return a.Name == name })
	if i < 0 || all.Users[i].Hash == "" {
		return "", "", u.conn.stop(op, fmt.Errorf("RabbitMQ doesn't show the hash of user %s, without which Rota can't tell its passwords apart", name),
			rota.Outside("see what's between Rota and the management API: GET /api/definitions has to show the users with their hashes"))
	}
	return all.Users[i].Hash, all.Users[i].Algorithm, nil
}

// write replaces a user's password by what's in fields. RabbitMQ would create a
// user that isn't there, so it has been read before.
func (u *users) write(ctx context.Context, op string, a account, fields map[string]any, used ...rota.Credential) error {
	fields["tags"] = a.Tags
	if hash, ok := fields["password_hash"].(string); ok {
		used = append(used, rota.NewCredential(map[string]string{"hash": hash}))
	}
	return u.conn.do(ctx, call{op: op, method: http.MethodPut, path: path("users", a.Name), body: fields, used: used}, nil)
}

// errLocked is a user of a pair that was deactivated after Rota chose it for the next
// password.
var errLocked = errors.New("the user was deactivated meanwhile (its hash ends with rota:off), and Rota doesn't reactivate it for a new password")

const unlock = "rabbitmqctl clear_password for the user, if Rota may give it a new password"

// Set sets the user's password. RabbitMQ's request has no condition, so somebody's change
// of the user's tags, or their lock, is lost if it comes between this look and the
// request right after it.
func (u *users) Set(ctx context.Context, s rota.SetRequest) error {
	name, password := u.CredentialID(s.Credential), s.Credential.Field(rota.FieldPassword)
	op := "set password of user " + name
	a, err := u.read(ctx, op, name)
	if errors.Is(err, rota.ErrNotFound) {
		return rota.WithRemedies(err, rota.Outside("the user's new name in rota.yaml, if it was renamed; or else rabbitmqctl add_user "+shell(name)))
	}
	if err != nil {
		return err
	}
	if len(u.names) > 1 && a.inactive() { // it wasn't when it was chosen
		return u.conn.stop(op, errLocked, rota.Outside(unlock))
	}
	if password == "" { // RabbitMQ would take it
		return u.conn.fail(op, rota.ClassRegenerate, errors.New("the password is empty"), nil)
	}
	if match, known := matches(a, password); match && known {
		return nil
	}
	if !u.conn.cfg.SendPasswords {
		algorithm := a.Algorithm
		if sums[algorithm] == nil {
			algorithm = sha256Module
		}
		return u.write(ctx, op, a, map[string]any{"password_hash": stored(algorithm, password), "hashing_algorithm": algorithm}, s.Credential)
	}
	err = u.write(ctx, op, a, map[string]any{"password": password}, s.Credential)
	if e, ok := errors.AsType[*rota.Error](err); ok && e.Class == rota.ClassStop && rejected(e) {
		e.Class = rota.ClassRegenerate // by the server's credential validator
	}
	return err
}

// rejected reports whether a request was answered with 400.
func rejected(e *rota.Error) bool { return strings.HasPrefix(e.Err.Error(), "it answered 400 ") }

// InForce implements [rota.Teller] by comparing the hash with the credential's
// password. It doesn't say whether the user may log in: that's what Test is for.
func (u *users) InForce(ctx context.Context, c rota.Credential) (inForce, known bool, err error) {
	a, err := u.read(ctx, "look which password user "+u.CredentialID(c)+" has", u.CredentialID(c))
	if err != nil {
		if errors.Is(err, rota.ErrNotFound) {
			err = nil
		}
		return false, false, err
	}
	inForce, known = matches(a, c.Field(rota.FieldPassword))
	return inForce, known, nil
}

// List returns the users that have a password, or would if they were active.
func (u *users) List(ctx context.Context) ([]rota.Issued, error) {
	var issued []rota.Issued
	for _, name := range u.names {
		a, err := u.read(ctx, "look whether user "+name+" has a password", name)
		switch {
		case errors.Is(err, rota.ErrNotFound):
		case err != nil:
			return nil, err
		case a.Hash != "":
			issued = append(issued, rota.Issued{ID: name, Active: !a.inactive()})
		}
	}
	return issued, nil
}
