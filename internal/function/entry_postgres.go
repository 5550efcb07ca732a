package function

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/aws"
	"github.com/rota-dev/rota/provider/postgres"
	"github.com/rota-dev/rota/rotation"
)

// cloneSuffix marks the second of two alternating users, as in AWS's own
// rotation functions.
const cloneSuffix = "_clone"

// postgres describes a database user by the fields of AWS's own rotation
// functions: engine, host, port, username, password, dbname, ssl, masterarn.
//
// With masterarn Rota logs in as the master and alternates between two users,
// as they do; without it the user changes their own password.
func (inv *invocation) postgres(ctx context.Context, s *rotation.Secret, entry aws.Entry) error {
	if err := requireFields(entry, "host", "username"); err != nil {
		return err
	}
	cfg, err := inv.connectionConfig(entry)
	if err != nil {
		return err
	}
	fields, err := rota.ParseFieldMap(map[string]string{"username": rota.FieldUsername, "password": rota.FieldPassword}, nil)
	if err != nil {
		return err
	}
	s.Store = inv.aws.SecretsManager(aws.SecretsManagerConfig{Name: cmp.Or(entry.ARN, entry.Name), Fields: fields})
	master := entry.Values.Field("masterarn")
	if master == "" {
		if err := requireFields(entry, "password"); err != nil {
			return err
		}
		s.Issuer, err = postgres.Own(entry.Name, cfg, postgres.OwnConfig{Role: entry.Values.Field("username"), Rules: inv.settings.rules, Known: storedCredentials(s.Store)})
		return asConfigError(err)
	}
	if err := inv.loginAsMaster(ctx, entry.Name, &cfg, master); err != nil {
		return err
	}
	c, err := postgres.New(entry.Name, cfg)
	if err != nil {
		return &configError{err}
	}
	inv.closers = append(inv.closers, c.Close)
	if err := inv.issueAsMaster(s, c, entry); err != nil {
		return err
	}
	return inv.refuseUnproven(ctx, s, entry)
}

// issueAsMaster makes the issuer for the user of an entry that names a master.
func (inv *invocation) issueAsMaster(s *rotation.Secret, c *postgres.Connection, entry aws.Entry) (err error) {
	user := entry.Values.Field("username")
	switch way := entry.Tags[rolesTag]; way {
	case "single":
		s.Issuer, err = c.Password(postgres.PasswordConfig{Role: user, Rules: inv.settings.rules})
	case "alternating", "":
		first := strings.TrimSuffix(user, cloneSuffix)
		s.Issuer, err = c.Alternating(postgres.AlternatingConfig{Roles: [2]string{first, first + cloneSuffix}, Clone: true, Rules: inv.settings.rules})
	default:
		err = fmt.Errorf("secret %s: the tag %s is neither single nor alternating", entry.Name, rolesTag)
	}
	return asConfigError(err)
}

// prover is an issuer for which a test asks for too much, such as that two accounts
// have the same rights, or for too little: a clone's login alone doesn't prove whose
// the first account is.
type prover interface {
	Proves(context.Context, rota.Credential) error
}

// refuseUnproven refuses to work on a user as the master unless a password in the
// entry logs in as that user. Whoever may write values chooses the user's name, the
// versions' ids and their labels: they prove nothing about whose user it is.
func (inv *invocation) refuseUnproven(ctx context.Context, s *rotation.Secret, entry aws.Entry) error {
	known, err := storedCredentials(s.Store)(ctx)
	if err != nil {
		return err
	}
	proves := func(c rota.Credential) error { return s.Issuer.Test(ctx, rota.TestRequest{Credential: c}) }
	if i, ok := s.Issuer.(prover); ok {
		proves = func(c rota.Credential) error { return i.Proves(ctx, c) }
	}
	user := entry.Values.Field("username")
	if entry.Tags[rolesTag] != "single" {
		user = strings.TrimSuffix(user, cloneSuffix)
	}
	var unclear error
	why, remedies := "", rota.Outside("put the user's working password into "+entry.Name)
	for _, c := range known {
		err := proves(c)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, rota.ErrRefused):
		case rota.ClassOf(err) == rota.ClassWait:
			unclear = err
		case why == "":
			why, remedies = " ("+rota.OneLine(rota.Sanitize(err, known...).Error())+")", append(remedies, rota.RemediesOf(err)...)
		}
	}
	if unclear != nil {
		return unclear
	}
	return held(entry.Name, remedies,
		"no password in %s logs in as the user %s, so nothing is done for that user%s", entry.Name, user, why)
}

func asConfigError(err error) error {
	if err == nil {
		return nil
	}
	return &configError{err}
}

// connectionConfig is where the entry's user logs in.
func (inv *invocation) connectionConfig(entry aws.Entry) (postgres.Config, error) {
	v := entry.Values
	cfg := postgres.Config{
		Host: v.Field("host"), Database: v.Field("dbname"),
		SSLMode: inv.sslMode(entry), SSLRootCert: inv.settings.sslRootCert,
		RequireAuth: inv.settings.requireAuth,
	}
	var err error
	cfg.Port, err = portOf(entry, defaultPostgresPort)
	return cfg, err
}

// sslMode is how to log in with an entry's password: without TLS only if that
// entry itself says so, and the function's settings don't.
func (inv *invocation) sslMode(entry aws.Entry) string {
	if inv.settings.sslMode == "" && entry.Values.Field("ssl") == "false" {
		return "disable"
	}
	return inv.settings.sslMode
}

// storedCredentials returns the credentials in a store, likeliest to be valid
// first.
func storedCredentials(store rota.Store) func(context.Context) ([]rota.Credential, error) {
	return func(ctx context.Context) ([]rota.Credential, error) {
		contents, err := store.Describe(ctx)
		if err != nil {
			return nil, err
		}
		var versions []rota.Version
		for _, label := range []rota.Label{rota.LabelCurrent, rota.LabelPending, rota.LabelPrevious} {
			if v, ok := rota.Find(contents.Versions, label); ok {
				versions = append(versions, v)
			}
		}
		// A rotation that was called off may have set its password by then.
		for _, v := range slices.SortedFunc(slices.Values(contents.Versions), func(a, b rota.Version) int { return b.CreatedAt.Compare(a.CreatedAt) }) {
			if v.Has(rota.LabelMade(v.ID)) && !slices.ContainsFunc(versions, func(o rota.Version) bool { return o.ID == v.ID }) {
				versions = append(versions, v)
			}
		}
		var all []rota.Credential
		for _, v := range versions {
			c, err := store.Get(ctx, rota.GetRequest{Version: v.ID})
			if errors.Is(err, rota.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		}
		return all, nil
	}
}
