package github

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Secrets is a target: secrets of one place, whose values nobody can read again.
type Secrets struct {
	Target     string // the target's name in rota.yaml
	Connection *Connection
	Place      Place
	// UsedBy is what reads the secrets. Defaults to Actions.
	UsedBy UsedBy
	// Fields are the secrets and what each gets.
	Fields rota.FieldMap
	// Document, if set, is a secret with the whole credential.
	Document       string
	DocumentFormat provider.DocumentFormat
	// Visibility is which repositories read secrets of an organization: "all",
	// "private" or "selected". "" leaves existing secrets as they are and makes new
	// ones private.
	Visibility string
	// WaitFor are the repositories whose workflow runs hold an old value until they
	// end, as "owner/name". Defaults to the place's own.
	WaitFor []string
	// NoWait says that nothing waits for workflow runs.
	NoWait bool
	// Pause is that between two looks at a secret that doesn't show a write yet; a
	// second if it's 0.
	Pause time.Duration
	// Grace is how long a delivery that has begun to write goes on after its context
	// has ended; 4 s if it's 0.
	Grace time.Duration

	mu sync.Mutex // held while writing
}

var (
	_ rota.Target         = (*Secrets)(nil)
	_ rota.Preflighter    = (*Secrets)(nil)
	_ rota.Accepter       = (*Secrets)(nil)
	_ rota.HolderReporter = (*Secrets)(nil)
)

// Name implements [rota.Target].
func (t *Secrets) Name() string { return t.Target }

func (t *Secrets) place() place { return place{t.Place, cmp.Or(t.UsedBy, Actions)} }

// value is one to be written.
type value struct{ name, text string }

// secret is one to be written, with what GitHub shows of it before.
type secret struct {
	value
	was    shown
	exists bool
}

// finishWithin is the default for Grace, and bounds how long variables are taken
// back.
const finishWithin = 4 * time.Second

// tries is how often a write is made, or a secret looked at, if there's no clear
// answer.
const tries = 3

// Deliver implements [rota.Target]. GitHub writes one secret at a time and shows no
// values, so what was there can't be put back: once the first write has taken
// effect, the others are made to follow, even past the end of the context. All
// that can be known to fail is known before.
func (t *Secrets) Deliver(ctx context.Context, r rota.DeliverRequest) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return rota.Sanitize(t.deliver(ctx, r.Credential), r.Credential)
}

func (t *Secrets) deliver(ctx context.Context, c rota.Credential) error {
	values, err := t.values(c)
	if err == nil {
		err = t.refused(values)
	}
	if err != nil {
		return err
	}
	key, err := t.Connection.sealingKey(ctx, t.place())
	if err != nil {
		return missing(t.Place, err)
	}
	var secrets []secret
	for _, v := range values {
		s := secret{value: v}
		if s.was, s.exists, err = t.Connection.getSecret(ctx, t.place(), v.name); err != nil {
			return err
		}
		secrets = append(secrets, s)
	}
	from := 1
	if key, err = t.write(ctx, key, secrets[0]); err != nil {
		took, known := t.tookEffect(ctx, secrets[0], err)
		switch {
		case known && !took, !known && len(secrets) == 1:
			return err
		case !known:
			from = 0
		}
	}
	return t.finish(ctx, key, secrets, from)
}

// finish writes the secrets from one on, and proves that GitHub has them all.
func (t *Secrets) finish(ctx context.Context, key publicKey, secrets []secret, from int) error {
	for i := from; i < len(secrets); i++ {
		if err := t.insist(ctx, func(ctx context.Context) (err error) {
			key, err = t.write(ctx, key, secrets[i])
			return err
		}); err != nil {
			return t.mixed(secrets, i, err)
		}
	}
	for _, s := range secrets {
		if err := t.insist(ctx, func(ctx context.Context) error { return t.prove(ctx, s) }); err != nil {
			return err
		}
	}
	return nil
}

// insist tries something again while there's no clear answer. Each try has some time
// left even if the context has ended.
func (t *Secrets) insist(ctx context.Context, do func(context.Context) error) (err error) {
	for try := range tries {
		some, cancel := outlast(ctx, cmp.Or(t.Grace, finishWithin)/tries)
		if try > 0 {
			_ = rota.Sleep(some, cmp.Or(t.Pause, time.Second))
		}
		if err = do(some); err == nil || rota.ClassOf(err) != rota.ClassWait {
			cancel()
			return err
		}
		cancel()
	}
	return err
}

// mixed says which secrets are new and which old.
func (t *Secrets) mixed(secrets []secret, done int, err error) error {
	var fresh, old []string
	for i, s := range secrets {
		if i < done {
			fresh = append(fresh, s.name)
		} else {
			old = append(old, s.name)
		}
	}
	if len(fresh) == 0 {
		return fmt.Errorf("%w; and until it's delivered, jobs may get new values beside old ones: whether %s was written isn't known", err, secrets[0].name)
	}
	return fmt.Errorf("%w; and until it's delivered, jobs get a new value in %s beside an old one in %s", err, strings.Join(fresh, ", "), strings.Join(old, ", "))
}

// write encrypts and writes one secret. The key that it returns is another one if
// GitHub has replaced it meanwhile.
func (t *Secrets) write(ctx context.Context, key publicKey, s secret) (publicKey, error) {
	p := t.place()
	var body sealed
	if p.Repository == "" {
		body.Visibility = cmp.Or(t.Visibility, s.was.Visibility, "private")
		if body.Visibility == "selected" {
			body.Selected = []int64{}
			if s.exists && s.was.Visibility == "selected" {
				var err error
				if body.Selected, _, err = t.Connection.selected(ctx, p.access(write), p.secrets()+"/"+s.name, "secret "+s.name+" of "+p.String(), p.usedBy == Dependabot); err != nil {
					return key, err
				}
			}
		}
	}
	for renewed := false; ; renewed = true {
		var err error
		if body.Value, err = key.seal(s.text); err != nil {
			return key, t.Connection.refuse("encrypt secret "+s.name, "look at this machine's source of randomness", errors.New("no randomness"))
		}
		body.KeyID = key.id
		_, err = t.Connection.putSecret(ctx, p, s.name, body)
		if provider.StatusOf(err) != http.StatusUnprocessableEntity || renewed {
			return key, err
		}
		now, keyErr := t.Connection.sealingKey(ctx, p)
		if keyErr != nil || now.id == key.id {
			return key, err
		}
		key = now
	}
}

// tookEffect finds out by the secret's date whether a write without a clear answer
// was made.
func (t *Secrets) tookEffect(ctx context.Context, s secret, failed error) (took, known bool) {
	if rota.ClassOf(failed) != rota.ClassWait {
		return false, true
	}
	ctx, cancel := outlast(ctx, cmp.Or(t.Grace, finishWithin))
	defer cancel()
	now, exists, err := t.Connection.getSecret(ctx, t.place(), s.name)
	if err != nil {
		return false, false
	}
	return exists && (!s.exists || now.UpdatedAt.After(s.was.UpdatedAt.Time)), true
}

// prove looks whether GitHub shows a secret as written, which is all that it shows
// of it.
func (t *Secrets) prove(ctx context.Context, s secret) error {
	now, exists, err := t.Connection.getSecret(ctx, t.place(), s.name)
	switch {
	case err != nil:
		return err
	case !exists:
		err = errors.New("it was written, but GitHub doesn't show it yet")
	case now.UpdatedAt.Before(s.was.UpdatedAt.Time):
		err = errors.New("it was written, but GitHub still shows its earlier date")
	default:
		return nil
	}
	return &rota.Error{System: t.Connection.system(), Connection: t.Connection.name, Op: "look at secret " + s.name + " of " + t.place().String(), Class: rota.ClassWait, Err: err}
}

// missing adds what a person can do about a place that isn't there.
func missing(p Place, err error) error {
	if provider.StatusOf(err) == http.StatusNotFound && p.Environment != "" {
		return rota.WithRemedies(err, slices.Concat(rota.Outside("create environment "+p.Environment+" in "+p.Owner+"/"+p.Repository), rota.RemediesOf(err)))
	}
	return err
}

// outlast returns a context that goes on for a while after another has ended.
func outlast(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(d, cancel)
		context.AfterFunc(longer, func() { timer.Stop() })
	})
	return longer, func() { stop(); cancel() }
}
