package mongodb

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/rota-dev/rota"
)

// AlternatingConfig names two users that take turns.
type AlternatingConfig struct {
	Users [2]string
	// AuthSource is the database that both are in. Defaults to admin.
	AuthSource string
	Rules      rota.PasswordRules
}

// alternating rotates two users in turn: while one is delivered, the other stays
// valid.
type alternating struct{ users }

// Alternating returns the issuer for a pair of users.
func (c *Connection) Alternating(cfg AlternatingConfig) (rota.Issuer, error) {
	u, err := c.newUsers(cfg.Rules, cfg.AuthSource, cfg.Users[:]...)
	if err != nil {
		return nil, err
	}
	return &alternating{u}, nil
}

// Traits say that two credentials may be valid at once.
func (a *alternating) Traits() rota.Traits {
	return rota.Traits{Kind: "MongoDB password", Limit: 2, TestSuccesses: testSuccesses}
}

// Create generates a new password for the user that isn't taken, and touches
// nothing.
func (a *alternating) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	op := "choose one of users " + a.names[0] + " and " + a.names[1]
	i := slices.IndexFunc(a.names, func(name string) bool { return !slices.Contains(r.Taken, name) })
	if i < 0 {
		return rota.Credential{}, a.conn.stop(op, fmt.Errorf("%w: both are taken", rota.ErrLimit), rota.Outside("retire the previous credential first"))
	}
	return a.generate(ctx, op, a.names[i])
}

// Deactivate gives the user restrictions that no login meets, and notes its own in
// its customData, both in one command: MongoDB has no switch for a user. The server
// drops the user from open connections, too.
func (a *alternating) Deactivate(ctx context.Context, r rota.RetireRequest) error {
	op := "deactivate user " + a.at(r.CredentialID)
	now, err := a.existing(ctx, op, r.CredentialID)
	if err != nil || now.off() {
		return err
	}
	kept := note{Off: true, Restrictions: orNone(now.Restrictions)}
	return a.write(ctx, op, now.User, bson.D{
		{Key: "customData", Value: append(now.custom(), bson.E{Key: markKey, Value: kept})},
		{Key: "authenticationRestrictions", Value: nowhere},
	})
}

// Reactivate undoes Deactivate.
func (a *alternating) Reactivate(ctx context.Context, r rota.RetireRequest) error {
	op := "reactivate user " + a.at(r.CredentialID)
	now, err := a.existing(ctx, op, r.CredentialID)
	if err != nil || !now.off() {
		return err
	}
	return a.write(ctx, op, now.User, unmarked(now))
}

// Delete replaces the password of a deactivated user by one that nobody knows, and
// notes that. The user itself stays, with its own restrictions: the next rotation gives
// it a new password.
func (a *alternating) Delete(ctx context.Context, r rota.RetireRequest) error {
	op := "delete password of user " + a.at(r.CredentialID)
	now, err := a.existing(ctx, op, r.CredentialID)
	switch {
	case errors.Is(err, rota.ErrNotFound):
		return nil
	case err != nil:
		return err
	case !now.off():
		return a.conn.stop(op, fmt.Errorf("%w: it is active", rota.ErrConflict), nil)
	}
	unknown, err := a.generate(ctx, op, now.User)
	if err != nil {
		return err
	}
	fields := append(a.password(now, unknown.Field(rota.FieldPassword)),
		bson.E{Key: "customData", Value: append(now.custom(), bson.E{Key: markKey, Value: free})},
		bson.E{Key: "authenticationRestrictions", Value: orNone(now.restrictions())})
	return a.write(ctx, op, now.User, fields, unknown)
}

// errTaken is a user in whose customData Rota would write over somebody else's field.
var errTaken = errors.New("customData." + markKey + " isn't Rota's note, and Rota would write over it")

const renameTaken = "another name for that field, with db.updateUser"

// existing is one of the pair's users, if it has a password. What isn't one of them
// isn't there, as far as this secret is concerned.
func (a *alternating) existing(ctx context.Context, op, name string) (account, error) {
	if !slices.Contains(a.names, name) {
		if err := ctx.Err(); err != nil {
			return account{}, a.conn.fail(op, rota.ClassWait, err, nil)
		}
		return account{}, a.conn.stop(op, rota.ErrNotFound, nil)
	}
	now, err := a.read(ctx, op, name)
	switch {
	case err == nil && now.isFree():
		err = a.conn.stop(op, rota.ErrNotFound, nil)
	case err == nil && now.taken():
		err = a.conn.stop(op, errTaken, rota.Outside(renameTaken))
	}
	return now, err
}
