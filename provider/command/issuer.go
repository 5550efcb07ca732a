package command

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/rota-dev/rota"
)

// IssuerConfig describes a program that issues credentials.
type IssuerConfig struct {
	Config
	// Settings are handed to the program with each request, such as an address
	// and a login of its own. Those that are secret are in Config.Hidden too.
	Settings map[string]string
	Description
	// Inspect, if set, is given each run once it has ended. Around, if set, is called
	// instead of running the program: it may run it once, twice or not at all, and
	// change the error. Both are for tests.
	Inspect func(Run)
	Around  func(verb Verb, run func() error) error
}

// issuer issues credentials through a program.
type issuer struct {
	*program
	about Description
	// call carries one request to the program.
	call func(ctx context.Context, op string, q request) (answer, error)
}

var (
	_ rota.Issuer      = (*issuer)(nil)
	_ rota.Teller      = (*issuer)(nil)
	_ rota.Preflighter = (*issuer)(nil)
)

// defaultCallTimeout is how long a request to an issuer or a target may take.
const defaultCallTimeout = time.Minute

func newProgram(c Config, settings map[string]string, public string) (*program, error) {
	if c.Timeout == 0 {
		c.Timeout = defaultCallTimeout
	}
	r, err := newRunner(c)
	if err != nil {
		return nil, err
	}
	if settings == nil {
		settings = map[string]string{}
	}
	return &program{runner: r, settings: settings, public: public}, nil
}

// NewIssuer checks the config and returns the issuer, with the optional interfaces
// that its verbs stand for. Nothing is run.
func NewIssuer(c IssuerConfig) (rota.Issuer, error) {
	c.Description = c.withDefaults(c.Command)
	p, err := newProgram(c.Config, c.Settings, c.ID)
	if err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", p.config.Name, err)
	}
	p.inspect = c.Inspect
	i := &issuer{program: p, about: c.Description, call: p.exchange}
	if c.Around != nil {
		i.call = func(ctx context.Context, op string, q request) (a answer, err error) {
			err = c.Around(q.Verb, func() (err error) {
				a, err = p.exchange(ctx, op, q)
				return err
			})
			return a, err
		}
	}
	return i.with(), nil
}

// with adds the optional interfaces.
func (i *issuer) with() rota.Issuer {
	lists, reports, reverses := i.about.Has(VerbList), i.about.Has(VerbLastUsed), i.about.Has(VerbDeactivate)
	switch {
	case lists && reports && reverses:
		return &struct {
			*issuer
			lister
			reporter
			reverser
		}{i, lister{i}, reporter{i}, reverser{i}}
	case lists && reports:
		return &struct {
			*issuer
			lister
			reporter
		}{i, lister{i}, reporter{i}}
	case lists && reverses:
		return &struct {
			*issuer
			lister
			reverser
		}{i, lister{i}, reverser{i}}
	case lists:
		return &struct {
			*issuer
			lister
		}{i, lister{i}}
	case reports:
		return &struct {
			*issuer
			reporter
		}{i, reporter{i}}
	}
	return i
}

// Traits implements [rota.Issuer].
func (i *issuer) Traits() rota.Traits { return i.about.traits() }

// CredentialID implements [rota.Issuer].
func (i *issuer) CredentialID(c rota.Credential) string { return c.Field(i.about.ID) }

// Create implements [rota.Issuer]. The program is asked to describe itself first, so
// that nothing is created by one that works in another way than rota.yaml says.
func (i *issuer) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	const op = "create a credential"
	if l := i.about.Limit; l > 1 && i.about.IssuerChooses && len(r.Taken) >= l {
		return rota.Credential{}, i.fail(op, rota.ClassStop, "delete a credential that nobody uses", fmt.Errorf("%w: %d exist", rota.ErrLimit, len(r.Taken)))
	}
	if err := i.agree(ctx); err != nil {
		return rota.Credential{}, err
	}
	a, err := i.call(ctx, op, request{Verb: VerbCreate, Version: r.Version, Taken: r.Taken, Current: r.Current.Fields()})
	if err != nil {
		return rota.Credential{}, err
	}
	c := rota.NewCredential(a.Credential)
	if err := i.about.fits(c); err != nil {
		return rota.Credential{}, i.fail(op, rota.ClassStop, hintProgram, err, i.secret(a.Credential))
	}
	if i.about.IssuerChooses && slices.Contains(r.Taken, i.CredentialID(c)) {
		// Not this one's to test, deliver and later delete.
		return rota.Credential{}, i.fail(op, rota.ClassStop, hintProgram, errors.New("a credential with the id of one that existed before"), i.secret(a.Credential))
	}
	return c, nil
}

// Set implements [rota.Issuer].
func (i *issuer) Set(ctx context.Context, r rota.SetRequest) error {
	if i.about.IssuerChooses {
		return ctx.Err()
	}
	_, err := i.call(ctx, "set credential "+i.CredentialID(r.Credential), request{Verb: VerbSet, Credential: r.Credential.Fields(), Current: r.Current.Fields()})
	return err
}

// Test implements [rota.Issuer].
func (i *issuer) Test(ctx context.Context, r rota.TestRequest) error {
	_, err := i.call(ctx, "log in with credential "+i.CredentialID(r.Credential), request{Verb: VerbTest, Credential: r.Credential.Fields()})
	return err
}

// Delete implements [rota.Issuer].
func (i *issuer) Delete(ctx context.Context, r rota.RetireRequest) error {
	if i.about.Lifetime > 0 {
		return ctx.Err()
	}
	_, err := i.call(ctx, "delete credential "+r.CredentialID, request{Verb: VerbDelete, CredentialID: r.CredentialID, Current: r.Current.Fields()})
	return err
}

// InForce implements [rota.Teller]. A program without the verb can't tell.
func (i *issuer) InForce(ctx context.Context, c rota.Credential) (inForce, known bool, err error) {
	if !i.about.Has(VerbInForce) {
		return false, false, ctx.Err()
	}
	op := "ask whether credential " + i.CredentialID(c) + " is in force"
	a, err := i.call(ctx, op, request{Verb: VerbInForce, Credential: c.Fields()})
	if err != nil {
		return false, false, err
	}
	switch *a.InForce {
	case "yes":
		return true, true, nil
	case "no":
		return false, true, nil
	case "unknown":
		return false, false, nil
	}
	return false, false, i.fail(op, rota.ClassStop, hintProgram, errors.New("in_force is none of yes, no and unknown"), i.secret(c.Fields()))
}

// lister adds [rota.Lister] to an issuer.
type lister struct{ i *issuer }

// List implements [rota.Lister].
func (l lister) List(ctx context.Context) ([]rota.Issued, error) {
	const op = "list credentials"
	a, err := l.i.call(ctx, op, request{Verb: VerbList})
	if err != nil {
		return nil, err
	}
	var out []rota.Issued
	for _, x := range *a.Credentials {
		if !isID(x.ID) {
			return nil, l.i.fail(op, rota.ClassStop, hintProgram, errors.New("a credential whose id is empty, has control characters or is longer than 1024 bytes"))
		}
		if slices.ContainsFunc(out, func(o rota.Issued) bool { return o.ID == x.ID }) {
			return nil, l.i.fail(op, rota.ClassStop, hintProgram, errors.New("two credentials with one id"))
		}
		out = append(out, rota.Issued{ID: x.ID, Active: x.Active == nil || *x.Active, CreatedAt: x.CreatedAt, ExpiresAt: x.ExpiresAt, Mark: x.Version})
	}
	return out, nil
}

// reporter adds [rota.UseReporter] to an issuer.
type reporter struct{ i *issuer }

// LastUsed implements [rota.UseReporter].
func (r reporter) LastUsed(ctx context.Context, id string) (rota.Use, error) {
	op := "ask for the last use of credential " + id
	a, err := r.i.call(ctx, op, request{Verb: VerbLastUsed, CredentialID: id})
	if err != nil {
		return rota.Use{}, err
	}
	u := rota.Use{Evidence: rota.Evidence(a.Use.Evidence), At: a.Use.At, Detail: shorten(a.Use.Detail)}
	switch u.Evidence {
	case rota.EvidenceRecorded, rota.EvidenceSampled:
		return u, nil
	case "unknown":
		return rota.Use{Detail: u.Detail}, nil
	}
	return rota.Use{}, r.i.fail(op, rota.ClassStop, hintProgram, errors.New("evidence is none of recorded, sampled and unknown"))
}

// reverser adds [rota.Deactivator] to an issuer.
type reverser struct{ i *issuer }

// Deactivate implements [rota.Deactivator].
func (r reverser) Deactivate(ctx context.Context, q rota.RetireRequest) error {
	_, err := r.i.call(ctx, "deactivate credential "+q.CredentialID, request{Verb: VerbDeactivate, CredentialID: q.CredentialID, Current: q.Current.Fields()})
	return err
}

// Reactivate implements [rota.Deactivator].
func (r reverser) Reactivate(ctx context.Context, q rota.RetireRequest) error {
	_, err := r.i.call(ctx, "reactivate credential "+q.CredentialID, request{Verb: VerbReactivate, CredentialID: q.CredentialID, Current: q.Current.Fields()})
	return err
}

// agree asks the program to describe itself, and compares.
func (i *issuer) agree(ctx context.Context) error {
	const op = "ask it to describe itself"
	a, err := i.call(ctx, op, request{Verb: VerbDescribe})
	if err != nil {
		return err
	}
	said := a.Description.withDefaults(i.config.Command)
	if key := i.about.differs(said); key != "" {
		e := fmt.Errorf("it describes itself with another %s than rota.yaml", key)
		return &rota.Error{System: i.config.Name, Op: op, Class: rota.ClassStop, Err: e, Remedies: rota.Configure(key, "what the program says when it's asked to describe itself")}
	}
	return nil
}

// Preflight looks for the program, and asks it to describe itself.
func (i *issuer) Preflight(ctx context.Context) []rota.Finding {
	findings := i.runner.Preflight(ctx)
	if !findings[0].OK {
		return findings
	}
	f := rota.Finding{OK: true, Check: "ask " + i.config.Command[0] + " to describe itself", Detail: i.about.Kind}
	if err := i.agree(ctx); err != nil {
		f.OK, f.Detail, f.Remedies = false, err.Error(), rota.RemediesOf(err)
	}
	return append(findings, f)
}

// differs is the key of rota.yaml in which two descriptions differ, "" for none.
func (d Description) differs(other Description) string {
	a, b := reflect.ValueOf(d.sorted()), reflect.ValueOf(other.sorted())
	for n := range a.NumField() {
		if !reflect.DeepEqual(a.Field(n).Interface(), b.Field(n).Interface()) {
			return jsonName(a.Type().Field(n))
		}
	}
	return ""
}
