package mongodb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/rota-dev/rota"
)

// FieldAuthSource is a credential's field besides username and password: the database
// that the user is in, which every client has to name.
const FieldAuthSource = "auth_source"

// testSuccesses is how many logins prove a new password: of several mongos, some may
// still have the old one in their cache.
const testSuccesses = 2

// users are those of one secret: what both ways of rotating share.
type users struct {
	conn   *Connection
	names  []string
	source string // the database they're in
	rules  rota.PasswordRules
}

// newUsers checks names before using them.
func (c *Connection) newUsers(rules rota.PasswordRules, source string, names ...string) (users, error) {
	if source == "" {
		source = defaultSource
	}
	if err := notExternal(source); err != nil {
		return users{}, rota.WithRemedies(fmt.Errorf("%s: auth_source: %w", c.system(), err), rota.RemediesOf(err))
	}
	for i, name := range names {
		switch {
		case name == "":
			return users{}, fmt.Errorf("%s: the user's name is empty", c.system())
		case strings.ContainsRune(name, 0):
			return users{}, fmt.Errorf("%s: the user's name contains a NUL character", c.system())
		case name == c.cfg.Username && source == c.cfg.AuthSource:
			return users{}, rota.WithRemedies(fmt.Errorf("%s: user %s@%s is the one Rota logs in as, so Rota would lock itself out", c.system(), name, source), rota.Configure("", "a connection with a user of its own"))
		case slices.Contains(names[:i], name):
			return users{}, rota.WithRemedies(fmt.Errorf("%s: user %q is named twice", c.system(), name), rota.Configure("", "two users with the same roles"))
		}
	}
	if err := rules.Validate(); err != nil {
		return users{}, fmt.Errorf("%s: user %s: password: %w", c.system(), names[0], err)
	}
	return users{conn: c, names: names, source: source, rules: rules}, nil
}

// CredentialID is the user's name.
func (u *users) CredentialID(c rota.Credential) string { return c.Field(rota.FieldUsername) }

// Names implements [rota.Namer].
func (u *users) Names() []string { return u.names }

// Complete implements [rota.Completer]: it adds the database, and the user if there's
// only one.
func (u *users) Complete(c rota.Credential) rota.Credential {
	all := map[string]string{FieldAuthSource: u.source}
	if len(u.names) == 1 {
		all[rota.FieldUsername] = u.names[0]
	}
	maps.Copy(all, c.Fields())
	return rota.NewCredential(all)
}

// generate generates a new password for a user, and touches nothing.
func (u *users) generate(ctx context.Context, op, name string) (rota.Credential, error) {
	if err := ctx.Err(); err != nil {
		return rota.Credential{}, u.conn.fail(op, rota.ClassWait, err, nil)
	}
	password, err := u.rules.Generate(nil)
	if err != nil {
		return rota.Credential{}, fmt.Errorf("%s: user %s: %w", u.conn.system(), name, err)
	}
	return rota.NewCredential(map[string]string{rota.FieldUsername: name, rota.FieldPassword: password, FieldAuthSource: u.source}), nil
}

// at is a user as messages have it.
func (u *users) at(name string) string { return name + "@" + u.source }

// read is one of the secret's users. Others are rejected.
func (u *users) read(ctx context.Context, op, name string) (account, error) {
	if !slices.Contains(u.names, name) {
		return account{}, u.conn.stop(op, fmt.Errorf("user %q isn't one of this secret's: %s", name, strings.Join(u.names, ", ")), rota.Outside("a stored credential whose username is one of them"))
	}
	found, err := u.conn.find(ctx, op, u.source, name)
	if err != nil {
		return account{}, err
	}
	for _, a := range found {
		if a.User == name && a.DB == u.source {
			return a, nil
		}
	}
	return account{}, u.conn.stop(op, fmt.Errorf("%w: there's no user %s", rota.ErrNotFound, u.at(name)),
		rota.Outside("the user's new name in rota.yaml, if it was renamed; or else db.createUser, with the roles its consumers need"))
}

// write changes a user. The majority of a replica set has to confirm it, or a failover
// could bring the old state back.
func (u *users) write(ctx context.Context, op, name string, fields bson.D, used ...rota.Credential) error {
	command := append(bson.D{{Key: "updateUser", Value: name}}, fields...)
	command = append(command, bson.E{Key: "writeConcern", Value: bson.D{{Key: "w", Value: "majority"}, {Key: "wtimeout", Value: u.conn.cfg.Timeout.Milliseconds()}}})
	return u.conn.run(ctx, op, u.source, command, nil, used...)
}

// password are the fields that set a password. The mechanisms are the user's own: left
// out, the server would make credentials for all that it knows.
func (u *users) password(a account, password string) bson.D {
	return bson.D{{Key: "pwd", Value: password}, {Key: "mechanisms", Value: a.passwordMechanisms()}}
}

// unmarked are the fields that take Rota's note off the user, if there is one, and give
// it its own restrictions back.
func unmarked(a account) bson.D {
	var fields bson.D
	if a.isFree() || a.off() {
		fields = append(fields, bson.E{Key: "customData", Value: orEmpty(a.custom())})
	}
	if a.off() {
		fields = append(fields, bson.E{Key: "authenticationRestrictions", Value: orNone(a.restrictions())})
	}
	return fields
}

// orEmpty and orNone are what's sent for nothing: null would be refused.
func orEmpty(d bson.D) bson.D {
	if d == nil {
		return bson.D{}
	}
	return d
}

func orNone(r []restriction) []restriction {
	if r == nil {
		return []restriction{}
	}
	return r
}

// Set sets the user's password. It's sent even if the user has it already: an earlier
// try may not have reached the majority. The command changes nothing but the password,
// and Rota's note that the user is free, so restrictions that somebody gives the user
// meanwhile stay.
func (u *users) Set(ctx context.Context, s rota.SetRequest) error {
	name, password := u.CredentialID(s.Credential), s.Credential.Field(rota.FieldPassword)
	op := "set password of user " + u.at(name)
	a, err := u.read(ctx, op, name)
	if err != nil {
		return err
	}
	if password == "" {
		return u.conn.fail(op, rota.ClassRegenerate, errors.New("the password is empty"), nil)
	}
	if why := a.unsettable(); why != "" {
		return u.conn.stop(op, errors.New(why), rota.Outside("a user with the mechanism SCRAM-SHA-256"))
	}
	if len(u.names) > 1 && a.off() { // it wasn't when it was chosen
		return u.conn.stop(op, errors.New("the user was switched off meanwhile (customData.rota.off), and Rota doesn't switch it on for a new password"),
			rota.Outside("db.updateUser with the customData {rota: \"free\"} and the user's own authenticationRestrictions, if Rota may give it a new password"))
	}
	return u.write(ctx, op, name, append(u.password(a, password), unmarked(a)...), s.Credential)
}

// Test logs in with the credential, and checks that the user has all that the other
// one of a pair has.
func (u *users) Test(ctx context.Context, t rota.TestRequest) error {
	name := u.CredentialID(t.Credential)
	op := "log in as user " + u.at(name)
	if name == "" || t.Credential.Field(rota.FieldPassword) == "" {
		return u.conn.stop(op, errors.New("the credential has no username or no password"), nil)
	}
	if err := u.login(ctx, op, t.Credential); err != nil {
		return err
	}
	missing, err := u.lacks(ctx, op, name)
	if err == nil && len(missing) > 0 {
		err = u.conn.stop(op, fmt.Errorf("it logs in but lacks what the other user has: %s", list(missing)), rota.Outside(level))
	}
	return err
}

// login logs in as a consumer does.
func (u *users) login(ctx context.Context, op string, c rota.Credential) error {
	return u.conn.as(ctx, op, c, u.source, func(ctx context.Context, s *session) error {
		return s.run(ctx, u.conn.cfg, u.source, bson.D{{Key: "ping", Value: 1}}, nil)
	})
}

// InForce implements [rota.Teller] by comparing what the server keeps with the
// credential's password. A user that's off has no password in force.
func (u *users) InForce(ctx context.Context, c rota.Credential) (inForce, known bool, err error) {
	name := u.CredentialID(c)
	a, err := u.read(ctx, "look which password user "+u.at(name)+" has", name)
	if err != nil {
		if errors.Is(err, rota.ErrNotFound) {
			err = nil
		}
		return false, false, err
	}
	if a.off() || a.isFree() {
		return false, true, nil
	}
	inForce, known = a.matches(c.Field(rota.FieldPassword))
	return inForce, known, nil
}

// List returns the users that have a password that somebody may know.
func (u *users) List(ctx context.Context) ([]rota.Issued, error) {
	found, err := u.conn.find(ctx, "look which of the users have a password", u.source, u.names...)
	if err != nil {
		return nil, err
	}
	var issued []rota.Issued
	for _, a := range found {
		if slices.Contains(u.names, a.User) && a.DB == u.source && !a.isFree() {
			issued = append(issued, rota.Issued{ID: a.User, Active: !a.off()})
		}
	}
	return issued, nil
}
