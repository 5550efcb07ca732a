package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
)

// outside calls the secret's systems. Every call has a deadline, a span, and a
// lease that outlasts it.
type outside struct {
	*Rotator
	s      *Secret
	ledger *ledger
	values map[string]rota.Credential // by version; a version's value never changes
}

// call runs f with the deadline of one call. The name and the object are those
// of its [Span].
func (o *outside) call(ctx context.Context, name, object string, f func(context.Context) error) error {
	if err := o.ledger.keep(ctx); err != nil {
		return err
	}
	o.ledger.contents = nil
	ctx, cancel := context.WithTimeout(ctx, o.CallTimeout)
	defer cancel()
	return o.traced(ctx, Span{Name: name, Object: object}, f)
}

// retry makes up to n calls, until one succeeds or fails with a class other
// than Wait.
func (o *outside) retry(ctx context.Context, n int, name, object string, f func(context.Context) error) error {
	return o.repeat(ctx, n, func(ctx context.Context) error { return o.call(ctx, name, object, f) })
}

func (o *outside) repeat(ctx context.Context, n int, call func(context.Context) error) error {
	backoff := 250 * time.Millisecond
	for {
		err := call(ctx)
		if n--; err == nil || n <= 0 || rota.ClassOf(err) != rota.ClassWait || errors.Is(err, rota.ErrFenced) || errors.Is(err, rota.ErrNotFound) {
			return err
		}
		if sleepErr := o.Sleep(ctx, backoff); sleepErr != nil {
			return err
		}
		backoff *= 2
	}
}

// traced runs f within a span of the secret.
func (o *outside) traced(ctx context.Context, s Span, f func(context.Context) error) error {
	s.Secret = o.s.Name
	ctx, end := o.Trace(ctx, s)
	err := f(ctx)
	end(o.ledger.clean(err))
	return err
}

// get reads a version's credential, once per turn, and remembers the value for
// the redactor. It leaves out fields that aren't the issuer's.
func (o *outside) get(ctx context.Context, version string) (rota.Credential, error) {
	if c, ok := o.values[version]; ok {
		return c, nil
	}
	var c rota.Credential
	err := o.retry(ctx, 3, "store.get", version, func(ctx context.Context) (err error) {
		c, err = o.s.Store.Get(ctx, rota.GetRequest{Version: version})
		return err
	})
	if err != nil {
		return rota.Credential{}, err
	}
	return o.remember(version, c), nil
}

// remember keeps a version's stored value for this turn, and returns what get does.
func (o *outside) remember(version string, c rota.Credential) rota.Credential {
	o.ledger.redact(c)
	c = o.s.issued(c)
	if o.values == nil {
		o.values = map[string]rota.Credential{}
	}
	o.values[version] = c
	return c
}

// put stores a version as AWSPENDING, with more labels if there are any.
func (o *outside) put(ctx context.Context, tries int, version string, c rota.Credential, more ...rota.Label) error {
	return o.retry(ctx, tries, "store.put", version, func(ctx context.Context) error {
		return o.s.Store.Put(ctx, rota.PutRequest{Version: version, Credential: c, Labels: append([]rota.Label{rota.LabelPending}, more...)})
	})
}

// move moves a label, unless it's there already.
func (o *outside) move(ctx context.Context, l rota.Label, from, to string) error {
	if from == to {
		return nil
	}
	return o.retry(ctx, 4, "store.move", string(l), func(ctx context.Context) error {
		return o.s.Store.Move(ctx, rota.MoveRequest{Label: l, From: from, To: to})
	})
}

// logIn logs in with a credential, trying up to n times.
func (o *outside) logIn(ctx context.Context, n int, c rota.Credential) error {
	return o.retry(ctx, n, "issuer.test", o.s.Issuer.CredentialID(c), func(ctx context.Context) error {
		return o.s.Issuer.Test(ctx, rota.TestRequest{Credential: c})
	})
}

// prove logs in until that worked several times in a row, then runs the user's
// own checks. It waits longer after each refusal, because issuers are
// eventually consistent. Unless by is zero, nothing is tried again after that,
// and no call takes longer.
func (o *outside) prove(ctx context.Context, c rota.Credential, by time.Time) error {
	if !by.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, max(by.Sub(o.Now()), leastTest))
		defer cancel()
	}
	need := o.s.Issuer.Traits().TestSuccesses
	if need == 0 {
		need = 3
	}
	const refusals = 8
	backoff := 500 * time.Millisecond
	for row, failures := 0, 0; row < need; {
		err := o.logIn(ctx, 1, c)
		if err == nil {
			row++
			continue
		}
		row = 0
		if failures++; failures >= refusals || !by.IsZero() && !o.Now().Add(backoff).Before(by) || rota.ClassOf(err) != rota.ClassWait || errors.Is(err, rota.ErrFenced) {
			return fmt.Errorf("log in: %w", err)
		}
		if sleepErr := o.Sleep(ctx, backoff); sleepErr != nil {
			return fmt.Errorf("log in: %w", err)
		}
		backoff = min(2*backoff, 10*time.Second)
	}
	for _, check := range o.s.Checks {
		tries := 4
		if !by.IsZero() && !o.Now().Before(by) {
			tries = 1
		}
		if err := o.retry(ctx, tries, "check", check.Name(), func(ctx context.Context) error { return check.Check(ctx, c) }); err != nil {
			return fmt.Errorf("check %s: %w", check.Name(), err)
		}
	}
	return nil
}

// leastTest is what a test gets that begins when its time is already over, since
// the process that began it died.
const leastTest = 5 * time.Second

// isAccepted reports whether the issuer takes the credential of a version. It
// says no only after being refused that many times in a row.
func (o *outside) isAccepted(ctx context.Context, version string, refusals int) (bool, error) {
	c, err := o.get(ctx, version)
	if err != nil {
		return false, err
	}
	err = o.logIn(ctx, refusals, c)
	if errors.Is(err, rota.ErrRefused) {
		return false, nil
	}
	return err == nil, err
}

// tell asks the issuer whether a credential is in force. known is false if it
// can't tell without a login.
func (o *outside) tell(ctx context.Context, c rota.Credential) (inForce, known bool, err error) {
	teller, ok := o.s.Issuer.(rota.Teller)
	if !ok {
		return false, false, nil
	}
	err = o.retry(ctx, 3, "issuer.tell", o.s.Issuer.CredentialID(c), func(ctx context.Context) (err error) {
		inForce, known, err = teller.InForce(ctx, c)
		return err
	})
	return inForce, known, err
}
