package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota/api"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/engine"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/internal/store/anchor"
	"github.com/rota-dev/rota/rotation"
)

// Local carries out operations with a local configuration and store. It serves
// one caller with one configuration: the daemon creates one per request.
type Local struct {
	// File is the configuration. Only reading the audit works without it.
	File *config.File
	// Wired is the same, connected to its systems. Operations that only read
	// the store don't need it.
	Wired *config.Wired
	// Refused is why the configuration's newest edit isn't in force, nil if it is.
	Refused *api.RefusedDoc
	// Environment has the values of references, to find those that are missing
	// where nothing is wired. Optional.
	Environment *config.Environment
	// Rewire binds the configuration to its systems again, with the current
	// values of its references. Without it, secrets that log in with another
	// secret of the same operation do so with its old value.
	Rewire func(ctx context.Context) (*config.Wired, error)
	// DB is Rota's own store; nil if there is none yet, which only some
	// operations allow.
	DB *store.DB
	// Rotator does the work; the caller's Actor and From replace its own.
	Rotator *rotation.Rotator
	// Caller is who's asking.
	Caller access.Caller
	// StoreFindings are what opening the store found; Check reports it first.
	StoreFindings []rota.Finding
	// Workers carry out requests. Defaults to workers of the operation's own.
	Workers Workers
	// Controls pauses and freezes; nil if that isn't possible.
	Controls Controls
	// Places keep signed heads of the audit outside.
	Anchors []anchor.Destination
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
	// LeaseWait is how long to wait for another worker's lease. Defaults to 65
	// seconds.
	LeaseWait time.Duration
	// Tell, if set, gets messages for the person along the way.
	Message func(text string)
}

// Workers work on secrets, several at once and within their limits, as
// [engine.Pool] and [engine.Worker] do.
type Workers interface {
	// Each calls do with the index of every secret and returns the errors in
	// that order; [*engine.SkippedError] means it wasn't started.
	Each(ctx context.Context, secrets []*rotation.Secret, do func(ctx context.Context, i int) error) []error
}

var _ Operations = (*Local)(nil)

func (l *Local) now() time.Time {
	if l.Now == nil {
		return time.Now()
	}
	return l.Now()
}

func (l *Local) message(format string, args ...any) {
	if l.Message != nil {
		l.Message(fmt.Sprintf(format, args...))
	}
}

// rotator is the rotator on behalf of the caller.
func (l *Local) rotator() *rotation.Rotator { return RotatorFor(l.Rotator, l.Caller) }

// RotatorFor is a rotator whose audit entries name the caller.
func RotatorFor(r *rotation.Rotator, c access.Caller) *rotation.Rotator {
	theirs := *r
	theirs.Actor, theirs.From = c.Principal, c.From
	return &theirs
}

// authorize is [access.Authorize] for the caller.
func (l *Local) authorize(ctx context.Context, a access.Action, op string, secrets ...string) error {
	var audit access.Recorder
	if l.DB != nil {
		audit = l.DB.Audit()
	}
	return access.Authorize(ctx, l.Caller, audit, access.Attempt{Action: a, Op: op, At: l.now()}, secrets...)
}

// chosen is a secret to work on, or why it can't be.
type chosen struct {
	name   string
	secret *rotation.Secret
	err    error
}

// resolveNames returns the named secrets in the order of the configuration, each
// once; if none is named, all the caller may see.
func (l *Local) resolveNames(names []string) ([]string, error) {
	all := l.File.Names()
	for _, name := range names {
		if slices.Contains(all, name) {
			continue
		}
		remedies := rota.Command("rota status")
		if near := access.Nearest(name, l.visible(all)); near != "" {
			remedies = rota.Correct(near)
		}
		return nil, &UsageError{Err: rota.WithRemedies(fmt.Errorf("%s has no secret %q", l.File.Path, name), remedies), NoSecret: true}
	}
	if len(names) == 0 {
		return l.visible(all), nil
	}
	return slices.DeleteFunc(slices.Clone(all), func(n string) bool { return !slices.Contains(names, n) }), nil
}

func (l *Local) visible(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !l.Caller.Allows(access.List, n) })
}

// choose picks and authorizes secrets and returns them wired; if none is
// named, all those the caller may do this to.
func (l *Local) choose(ctx context.Context, a access.Action, op string, names []string) ([]chosen, error) {
	// First, so that callers who can't see a name don't learn whether it exists.
	if err := l.authorize(ctx, a, op, names...); err != nil {
		return nil, err
	}
	wanted, err := l.resolveNames(names)
	if err != nil {
		return nil, err
	}
	var out []chosen
	for _, name := range wanted {
		if len(names) == 0 && !l.Caller.Allows(a, name) {
			continue
		}
		out = append(out, chosen{name: name, secret: l.Wired.ByName[name], err: l.Wired.Broken[name]})
	}
	return out, nil
}

// chooseOne is choose for one secret that must be wired.
func (l *Local) chooseOne(ctx context.Context, a access.Action, op, name string) (*rotation.Secret, error) {
	list, err := l.choose(ctx, a, op, []string{name})
	if err != nil {
		return nil, err
	}
	if list[0].err != nil {
		return nil, &UsageError{Err: list[0].err}
	}
	return list[0].secret, nil
}

// readEach calls a read-only do with every secret that could be wired. It has its
// own workers: anyone investigating why a system hangs must not have to wait
// for it.
func readEach(ctx context.Context, list []chosen, do func(ctx context.Context, i int, s *rotation.Secret) error) []error {
	return each(ctx, engine.NewPool(engine.Limits{}), list, do)
}

// each has workers call do with every secret that could be wired, several at
// once, and returns the errors in the order of the list, including wiring
// errors.
func each(ctx context.Context, workers Workers, list []chosen, do func(ctx context.Context, i int, s *rotation.Secret) error) []error {
	out := make([]error, len(list))
	var secrets []*rotation.Secret
	var place []int
	for i, c := range list {
		if out[i] = c.err; c.err == nil {
			secrets, place = append(secrets, c.secret), append(place, i)
		}
	}
	errs := workers.Each(ctx, secrets, func(ctx context.Context, i int) error {
		return do(ctx, place[i], secrets[i])
	})
	for i, err := range errs {
		out[place[i]] = err
	}
	return out
}

// Describe is an error as documents have it: what's wrong, and what to do about
// it as a hint and as values.
func Describe(err error) (text, said string, remedies []rota.Remedy) {
	remedies = rota.RemediesOf(err)
	return err.Error(), hint.Of(remedies), remedies
}

// DescribeIn is Describe for a document that names the secret itself.
func DescribeIn(err error) (text, said string, remedies []rota.Remedy) {
	text, said, remedies = Describe(err)
	if own, ok := errors.AsType[*rotation.SecretError](err); ok {
		text = own.Err.Error()
	}
	return text, said, remedies
}

// Secrets says what rotating the named secrets would do.
func (l *Local) Secrets(ctx context.Context, names []string) (api.SecretsDoc, error) {
	list, err := l.choose(ctx, access.List, rotation.OpList, names)
	if err != nil {
		return api.SecretsDoc{}, err
	}
	doc := api.SecretsDoc{Secrets: []api.SecretDoc{}}
	for _, c := range list {
		d := api.SecretDoc{Secret: c.name, Fields: l.File.IssuerFields(c.name)}
		if c.err != nil {
			d.Error, d.Hint, d.Remedies = DescribeIn(c.err)
			doc.Secrets = append(doc.Secrets, d)
			continue
		}
		d.Fields = unknownFields(d.Fields, c.secret.Issuer)
		traits := c.secret.Issuer.Traits()
		d.Kind, d.Overlap = traits.Kind, traits.Overlap()
		d.Targets, d.Reloaders = len(c.secret.Targets), len(c.secret.Reloaders)
		if p := c.secret.Policy.WithDefaults(); d.Overlap && p.Retire == rotation.RetireAfterGrace {
			d.GraceSeconds = int64(p.DeactivatePreviousAfter.Seconds())
		}
		doc.Secrets = append(doc.Secrets, d)
	}
	return doc, nil
}

// unknownFields are the fields of a credential to adopt that the issuer doesn't
// fill in by itself.
func unknownFields(fields []string, issuer rota.Issuer) []string {
	completer, ok := issuer.(rota.Completer)
	if !ok {
		return fields
	}
	known := completer.Complete(rota.NewCredential(nil))
	return slices.DeleteFunc(slices.Clone(fields), func(name string) bool { return known.Field(name) != "" })
}

// errNoStore is the error of operations that need a store.
var errNoStore = rota.WithRemedies(errors.New("there is no store yet"), rota.Command("rota run"))
