package gitlab

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rota-dev/rota"
)

// GitLab ignores what it doesn't know yet or has no license for, and answers as if all
// went well. What it has written is compared with what was asked for.

// written is a variable as an answer shows it, with its scope.
type written struct {
	variable
	scope string
}

// ignored is what GitLab made of a variable other than asked for, with a remedy; nil if
// nobody sees more than should.
func (p Place) ignored(want variable, got written) (hint string, err error) {
	switch {
	case p.Level != LevelInstance && p.scope() != anyEnvironment && got.scope != p.scope():
		return noScopes, errors.New("GitLab made it for every environment")
	case want.hidden && !got.hidden:
		return noHiding, errors.New("GitLab didn't hide it")
	case want.masked && !got.masked:
		return "update GitLab, or list the variable under unmasked if its value is no secret", errors.New("GitLab doesn't mask it")
	case want.raw && !got.raw && strings.Contains(want.value, "$"):
		return "update GitLab to 15.7 or later, or leave $ out of the value", errors.New("GitLab would replace what follows a $ in its value")
	}
	return "", nil
}

const (
	noScopes = "leave out environment, or use variables of projects: environments of a group's variables need GitLab Premium"
	noHiding = "update GitLab to 17.4 or later, or set visibility: masked"
)

// asAsked removes a new variable that isn't as it was asked for.
func (c *Connection) asAsked(ctx context.Context, p Place, key string, want variable, got written) error {
	hint, err := p.ignored(want, got)
	if err == nil {
		return nil
	}
	at := p
	at.Environment = got.scope
	if removeErr := c.removeVariable(context.WithoutCancel(ctx), at, key); removeErr != nil {
		err = fmt.Errorf("%w, and removing it failed: %w", err, removeErr)
		hint = "remove the variable; " + hint
	}
	return c.refuse("create variable "+key+" of "+p.String(), hint, err)
}

// taken adds to a refusal that, without a license, a variable of every environment is
// in the way of one with a scope.
func (p Place) taken(err error) error {
	if p.Level == LevelGroup && p.scope() != anyEnvironment && strings.Contains(err.Error(), "taken") {
		return rota.WithRemedies(err, rota.Outside(noScopes))
	}
	return err
}

// unable says ahead what this GitLab would ignore, as far as it tells.
func (t *Variables) unable(ctx context.Context) error {
	scoped := t.Place.Level == LevelGroup && t.Place.scope() != anyEnvironment
	if !scoped && t.Visibility != Hidden {
		return nil
	}
	about, _, err := t.Connection.api.Metadata.GetMetadata(with(ctx))
	if err != nil {
		return ctx.Err() // unknown
	}
	op := "write variables of " + t.Place.String()
	if scoped && about.Version != "" && !about.Enterprise {
		return t.Connection.refuse(op, noScopes, errors.New("this GitLab has no environments for variables of groups"))
	}
	var major, minor int
	if n, _ := fmt.Sscanf(about.Version, "%d.%d", &major, &minor); t.Visibility == Hidden && n == 2 && (major < 17 || major == 17 && minor < 4) {
		return t.Connection.refuse(op, noHiding, fmt.Errorf("GitLab %d.%d has no hidden variables", major, minor))
	}
	return nil
}
