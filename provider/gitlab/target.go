package gitlab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Visibility is who can see a variable's value, in GitLab's words.
type Visibility string

// The visibilities.
const (
	Visible Visibility = "visible"
	// Masked values are left out of job logs.
	Masked Visibility = "masked"
	// Hidden values are masked, and nobody can read them in GitLab again.
	Hidden Visibility = "hidden"
)

// Variables is a target: CI/CD variables of one place.
type Variables struct {
	Target     string // the target's name in rota.yaml
	Connection *Connection
	Place      Place
	// Fields are the variables and what each gets.
	Fields rota.FieldMap
	// File, if set, is a variable of type file with the whole credential.
	File       string
	FileFormat provider.DocumentFormat
	// Visibility is that of all variables but those in Unmasked, which are visible.
	// Defaults to Masked.
	Visibility Visibility
	Unmasked   []string
	// Protected says whether only jobs on protected branches and tags get them. nil
	// leaves existing variables as they are and protects new ones, as GitLab's own
	// form does.
	Protected *bool
	// WaitFor are the projects whose pipelines hold an old value until they end.
	// Defaults to the place's own.
	WaitFor []string
	// NoWait says that nothing waits for pipelines.
	NoWait bool

	mu sync.Mutex // held while writing
}

var (
	_ rota.Target         = (*Variables)(nil)
	_ rota.Preflighter    = (*Variables)(nil)
	_ rota.Accepter       = (*Variables)(nil)
	_ rota.HolderReporter = (*Variables)(nil)
)

// Name implements [rota.Target].
func (t *Variables) Name() string { return t.Target }

// write is one variable to be written.
type write struct {
	key    string
	want   variable
	was    variable
	exists bool
}

// needed reports whether the variable isn't as it should be. A hidden value can't
// be compared.
func (w write) needed() bool { return !w.exists || w.was.hidden || w.was != w.want }

// Deliver implements [rota.Target]. GitLab writes one variable at a time, so a job
// that starts between two writes gets some of the new values with some of the old.
// Everything that can be known to fail is known before the first write, and if a
// later one fails, those before it are taken back: what stays is whole, and valid
// as long as the old credential is.
func (t *Variables) Deliver(ctx context.Context, r rota.DeliverRequest) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	writes, err := t.compare(ctx, r.Credential)
	if err != nil {
		return err
	}
	writes = slices.DeleteFunc(writes, func(w write) bool { return !w.needed() })
	for i, w := range writes {
		if err = ctx.Err(); err == nil {
			err = t.write(ctx, w, "Rotated by Rota: "+r.Secret)
		}
		if err != nil {
			return t.takeBack(ctx, writes[:i+1], err)
		}
	}
	return ctx.Err()
}

// compare finds out what has to be written. It fails if one of the variables can't
// take its value.
func (t *Variables) compare(ctx context.Context, c rota.Credential) ([]write, error) {
	wanted, err := t.values(c)
	if err != nil {
		return nil, t.Connection.refuse("write variables of "+t.Place.String(), "correct the target's variables", err)
	}
	if err := t.refused(wanted); err != nil {
		return nil, err
	}
	var writes []write
	for _, w := range wanted {
		if w.was, w.exists, err = t.Connection.getVariable(ctx, t.Place, w.key); err != nil {
			return nil, err
		}
		if err := t.clash(w); err != nil {
			return nil, err
		}
		if w.exists {
			// GitLab keeps a hidden variable hidden, whatever it's told.
			w.want.hidden, w.want.masked = w.was.hidden, w.want.masked || w.was.hidden
			if t.Protected == nil {
				w.want.protected = w.was.protected
			}
		}
		writes = append(writes, w)
	}
	return writes, nil
}

// clash is the error if an existing variable can't become what it should be.
func (t *Variables) clash(w write) error {
	if w.exists && w.want.hidden && !w.was.hidden {
		return t.Connection.refuse("write variable "+w.key+" of "+t.Place.String(), "delete the variable at GitLab, and Rota creates it hidden; until then jobs lack it; with visibility: masked, it stays",
			errors.New("it exists and isn't hidden, and GitLab hides only new variables"))
	}
	return nil
}

// write creates or updates a variable.
func (t *Variables) write(ctx context.Context, w write, description string) error {
	if w.exists {
		return t.Connection.updateVariable(ctx, t.Place, w.key, w.want)
	}
	err := t.Connection.createVariable(ctx, t.Place, w.key, description, w.want)
	if status := provider.StatusOf(err); status == 400 || status == 409 {
		// It may have come into being since: another process of Rota's, or the same
		// request sent twice.
		if _, exists, readErr := t.Connection.getVariable(ctx, t.Place, w.key); readErr == nil && exists {
			return t.Connection.updateVariable(ctx, t.Place, w.key, w.want)
		}
	}
	return err
}

// takeBackWithin bounds how long a failed delivery goes on, even if its context
// has ended.
const takeBackWithin = 4 * time.Second

// takeBack writes the old values again, the last first: whether the write that
// failed took effect isn't known. Values that GitLab doesn't tell, as hidden ones,
// can't be written again.
func (t *Variables) takeBack(ctx context.Context, writes []write, failed error) error {
	if len(writes) == 1 && len(t.keys()) == 1 {
		return failed // a single variable is never torn
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeBackWithin)
	defer cancel()
	var mixed []string
	for _, w := range slices.Backward(writes) {
		var err error
		switch {
		case !w.exists:
			err = t.Connection.removeVariable(ctx, t.Place, w.key)
		case w.was.hidden:
			err = errors.New("hidden")
		default:
			err = t.Connection.updateVariable(ctx, t.Place, w.key, w.was)
		}
		if err != nil {
			mixed = append(mixed, w.key)
		}
	}
	if len(mixed) > 0 && len(writes) > 1 {
		slices.Sort(mixed)
		return fmt.Errorf("%w; and until it's delivered, jobs get new values in %s beside old ones", failed, strings.Join(mixed, ", "))
	}
	return failed
}

// values are the variables with the values they are to have, in the order in which
// they're written: the whole credential first.
func (t *Variables) values(c rota.Credential) ([]write, error) {
	var writes []write
	if t.File != "" {
		text, err := t.FileFormat.Render(c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.File, err)
		}
		writes = append(writes, write{key: t.File, want: t.variable(t.File, text, true)})
	}
	if len(t.Fields.Names()) > 0 {
		values, err := t.Fields.Render(c)
		if err != nil {
			return nil, err
		}
		for _, key := range t.Fields.Names() {
			writes = append(writes, write{key: key, want: t.variable(key, values[key], false)})
		}
	}
	return writes, nil
}

// variable is a new variable with a value, always raw: otherwise GitLab replaces
// what follows a $.
func (t *Variables) variable(key, value string, file bool) variable {
	visibility := cmp.Or(t.Visibility, Masked)
	if slices.Contains(t.Unmasked, key) || file && !t.FileFormat.OneLine() {
		visibility = Visible
	}
	return variable{
		value: value, file: file, raw: true,
		masked: visibility != Visible, hidden: visibility == Hidden,
		protected: t.Protected == nil || *t.Protected,
	}
}

// keys are the names of all variables, in the order in which they're written.
func (t *Variables) keys() []string {
	keys := t.Fields.Names()
	if t.File != "" {
		keys = append([]string{t.File}, keys...)
	}
	return keys
}
