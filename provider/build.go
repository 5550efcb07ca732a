package provider

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/rota-dev/rota"
)

// Source is where a [Build] gets what it needs: package config implements it,
// and tests of a provider may.
type Source interface {
	// Resolve is a text's value, with all its references resolved. The error
	// holds no value.
	Resolve(ctx context.Context, t Text) (string, error)
	// Open is the opened connection of this name, which is made once.
	Open(ctx context.Context, connection string) (any, error)
	// Budget holds the calls that accounts allow; nil for one a connection.
	Budget() rota.Budget
}

// Build is what a kind's constructor is given. Its methods return what could
// be had and keep what went wrong, so that a constructor asks for everything
// first and looks at [Build.Err] once.
type Build struct {
	// Name is that of the connection, the target or the reloader; a check's is
	// its key with a number.
	Name string
	// Connection is the name of the connection that stands beside an issuer or
	// a store, or beside the issuer of a check's secret.
	Connection string
	// Passwords are the file's default rules.
	Passwords PasswordRules
	// Advice tells that the user wants advice on how to do without a
	// long-lived credential.
	Advice bool
	// Platforms are where the programs run that read the secret's targets, in
	// their order.
	Platforms []Platform
	// Own are the files and folders of Rota's own, which no target may write to.
	Own []OwnPath
	// Reach decides which addresses a connection or a notifier may reach; nil for all.
	Reach Reach

	ctx  context.Context
	from Source
	errs []error
}

// NewBuild makes a Build that gets everything from one source.
func NewBuild(ctx context.Context, from Source) *Build { return &Build{ctx: ctx, from: from} }

// Context ends when what's built is no longer wanted.
func (b *Build) Context() context.Context { return b.ctx }

// Budget holds the calls that accounts allow; nil for one of the connection's
// own.
func (b *Build) Budget() rota.Budget { return b.from.Budget() }

// Err is everything that went wrong so far.
func (b *Build) Err() error { return errors.Join(b.errs...) }

// Fail keeps an error for [Build.Err]; nil is none.
func (b *Build) Fail(err error) {
	if err != nil {
		b.errs = append(b.errs, err)
	}
}

// Text is a text's value; "" for one that the file does not give.
func (b *Build) Text(t Text) string {
	value, err := b.from.Resolve(b.ctx, t)
	b.Fail(err)
	return value
}

// Texts are the values of a list.
func (b *Build) Texts(list []Text) []string {
	var values []string
	for _, t := range list {
		values = append(values, b.Text(t))
	}
	return values
}

// TextMap are the values of a map.
func (b *Build) TextMap(m map[string]Text) map[string]string {
	values := make(map[string]string, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		values[name] = b.Text(m[name])
	}
	return values
}

// Fields is a field map, which was checked with the file.
func (b *Build) Fields(m map[string]Plain) rota.FieldMap {
	fields, err := rota.ParseFieldMap(PlainTexts(m), nil)
	if err != nil {
		b.Fail(fmt.Errorf("fields: %w", err))
	}
	return fields
}

// Open is the opened connection of this name, as its kind made it. Where it
// can't be had, [Build.Err] says why, and C is its zero value.
func Open[C any](b *Build, connection string) C {
	var none C
	opened, err := b.from.Open(b.ctx, connection)
	if err != nil {
		b.Fail(err)
		return none
	}
	c, ok := opened.(C)
	if !ok {
		b.Fail(fmt.Errorf("connection %s: is a %T, not a %T", connection, opened, none))
	}
	return c
}
