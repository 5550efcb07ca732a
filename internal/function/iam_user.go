package function

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/aws"
)

// A secret's owner writes its value, and the function's role may make keys of
// every user that the function serves. So a value alone doesn't decide whose key
// is made: a tag does, or the function's settings, or a key of that user in the
// value, with which the owner could already do what the user may.

// claim says for which IAM user an entry is.
type claim struct {
	user string
	// unrecorded means that only the key in the value shows it. Then a tag
	// records it before anything is made.
	unrecorded bool
}

// rotatedUser returns whose access key belongs into an entry that Secrets
// Manager rotates.
func (inv *invocation) rotatedUser(ctx context.Context, entry aws.Entry) (claim, error) {
	named := usernameIn(entry)
	bound := cmp.Or(entry.Tags[userTag], inv.settings.user)
	if bound != "" {
		return claim{user: bound}, agrees(entry, named, bound)
	}
	if named == "" {
		return claim{}, &configError{rota.WithRemedies(fmt.Errorf("secret %s says neither whose access key it contains nor which database it is for", entry.Name), rota.Outside(fmt.Sprintf("the tag %s with the IAM user's name, or a field engine with the value postgres, mysql or mariadb", userTag)))}
	}
	return inv.proven(ctx, entry, named)
}

// requestedUser checks that an event may name this user for an entry. The
// function tags those that it creates itself.
func (inv *invocation) requestedUser(ctx context.Context, entry aws.Entry, user string) (claim, error) {
	own := cmp.Or(inv.settings.secret, inv.settings.user) // of a function for one user
	switch tagged := entry.Tags[userTag]; {
	case tagged != "" && tagged != user:
		return claim{}, &configError{fmt.Errorf("secret %s is for user %s, according to its tag %s, and not for %s", entry.Name, tagged, userTag, user)}
	case tagged != "", entry.ARN == "", user == inv.settings.user && (entry.Name == own || entry.ARN == own):
		return claim{user: user}, agrees(entry, usernameIn(entry), user)
	}
	if err := agrees(entry, usernameIn(entry), user); err != nil {
		return claim{}, err
	}
	return inv.proven(ctx, entry, user)
}

// usernameIn is the IAM user that an entry's value names: a database's names one
// of the database.
func usernameIn(entry aws.Entry) string {
	if databaseField(entry) != "" {
		return ""
	}
	return entry.Values.Field(rota.FieldUsername)
}

func agrees(entry aws.Entry, named, user string) error {
	if named == "" || named == user {
		return nil
	}
	return held(entry.Name, rota.Outside(fmt.Sprintf("correct the field username in %s, or the tag %s on it", entry.Name, userTag)),
		"the value of secret %s names the IAM user %s, and the secret is for %s", entry.Name, named, user)
}

// proven accepts a user for whom nothing but the value speaks if the key in it is
// that user's, and works.
func (inv *invocation) proven(ctx context.Context, entry aws.Entry, user string) (claim, error) {
	fields, err := inv.fields(entry)
	if err != nil {
		return claim{}, err
	}
	key := fields.Read(entry.Values.Fields())
	if key.Field(rota.FieldAccessKeyID) != "" && key.Field(rota.FieldSecretAccessKey) != "" {
		err = inv.aws.AccessKeys(aws.AccessKeysConfig{User: user}).Test(ctx, rota.TestRequest{Credential: key})
		if err == nil {
			return claim{user: user, unrecorded: true}, nil
		}
		if !errors.Is(err, rota.ErrRefused) && rota.ClassOf(err) == rota.ClassWait {
			return claim{}, err
		}
	}
	return claim{}, held(entry.Name, append(rota.Outside(fmt.Sprintf("the tag %s = %s on %s, if it's for that user", userTag, user, entry.Name)),
		rota.Outside(fmt.Sprintf("a key of %s that works in %s", user, entry.Name))...),
		"nothing but its value says that secret %s is for the IAM user %s: it has neither the tag %s nor a key of that user that works", entry.Name, user, userTag)
}

// record has the secret's tag say whose it is from now on.
func (c claim) record(ctx context.Context, store rota.Store) error {
	tagger, ok := store.(aws.Tagger)
	if !c.unrecorded || !ok || tagsFor(c.user) == nil {
		return nil
	}
	return tagger.SetTag(ctx, userTag, c.user)
}

// tagsFor are those of a secret with a key of this user: none if the name has a
// comma, which tags can't have.
func tagsFor(user string) map[string]string {
	if strings.Contains(user, ",") {
		return nil
	}
	return map[string]string{userTag: user}
}
