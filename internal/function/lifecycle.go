package function

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/aws"
	"github.com/rota-dev/rota/rotation"
)

// heldError is a request that may not be carried out.
type heldError struct {
	secret string
	d      rotation.Decision
}

func (e *heldError) Error() string {
	return e.secret + ": " + e.d.Reason
}

// lifecycle carries out one step for a user's access keys.
func (inv *invocation) lifecycle(ctx context.Context, e lifecycleEvent) (any, error) {
	id := e.Secret
	if id == "" && e.Username == inv.settings.user {
		id = inv.settings.secret
	}
	s, err := inv.secretOfUser(ctx, e.Username, cmp.Or(id, e.Username), inv.settings.eventPolicy(e.AfterDays))
	if err != nil {
		return nil, err
	}
	return inv.forceStep(ctx, s, actions[e.Action], e.AfterDays)
}

// secretOfUser returns the secret with a user's access key: the configured one,
// else one of that name, which is created if it doesn't exist.
func (inv *invocation) secretOfUser(ctx context.Context, user, id string, policy rotation.Policy) (*rotation.Secret, error) {
	s, err := inv.configuredSecret(id)
	if err != nil {
		return nil, err
	}
	if s != nil {
		return s, inv.checkUser(s, user)
	}
	entry, err := inv.aws.Entry(ctx, id)
	if errors.Is(err, rota.ErrNotFound) {
		entry, err = aws.Entry{Name: id}, nil
	}
	if err != nil {
		return nil, err
	}
	if err := refuseDatabase(entry); err != nil {
		return nil, err
	}
	c, err := inv.requestedUser(ctx, entry, user)
	if err != nil {
		return nil, err
	}
	s = &rotation.Secret{Name: entry.Name, Policy: policy}
	if err := inv.describeKeys(s, entry, c); err != nil {
		return nil, err
	}
	inv.register(s, entry.Tags[topicTag])
	return s, nil
}

// checkUser refuses a configured secret of a different user.
func (inv *invocation) checkUser(s *rotation.Secret, user string) error {
	_, issuer := inv.file.Issuer(s.Name)
	if its, ok := aws.UserOf(issuer); !ok || its != "" && its != user {
		return &configError{fmt.Errorf("the configured secret %s is not the access key of user %s", s.Name, user)}
	}
	return nil
}

// forceStep takes a step ahead of the policy's dates, and returns once it is
// done or held. With afterDays, it's a no-op until that many days have passed.
func (inv *invocation) forceStep(ctx context.Context, s *rotation.Secret, step rota.Step, afterDays *int) (any, error) {
	if err := inv.claim.record(ctx, s.Store); err != nil {
		return nil, err
	}
	rotator := inv.rotator()
	state, _, err := rotator.Observe(ctx, s)
	if err != nil {
		return nil, err
	}
	if afterDays != nil {
		if why := tooEarly(state, step, *afterDays, inv.Now()); why != "" {
			return output{Secret: s.Name, Reason: why}, nil
		}
	}
	if made, ok := rota.FindID(state.Contents.Versions, inv.version()); ok && step == rota.StepCreate && !made.Has(rota.LabelPending) {
		return output{Secret: s.Name, Version: made.ID, Reason: "this event already created it"}, nil
	}
	if inv.settings.adopt && state.Adoptable() {
		if _, err := rotator.Adopt(ctx, s, rotation.AdoptOptions{}); err != nil {
			return nil, err
		}
	}
	result, err := rotator.Advance(ctx, s, rotation.Options{Force: step, Chain: rotation.Lifecycle, Patience: patience})
	inv.metrics.result(result, inv.Now())
	switch last := result.Last; {
	case err != nil:
		return nil, err
	case last.Hold != rotation.HoldNone && !result.Fulfilled(step):
		return nil, rota.WithRemedies(&heldError{s.Name, last}, last.Remedies)
	case len(result.Done) == 0 && step != rota.StepCreate:
		return output{Secret: s.Name, Reason: "there is no previous key to " + string(step)}, nil
	case step == rota.StepCreate && !result.Fulfilled(step):
		return nil, fmt.Errorf("%s: %s: %w", s.Name, last.Reason, &rota.Error{Class: rota.ClassWait, Err: errors.New("not done yet"), Remedies: rota.Outside("send the same event again later")})
	}
	return output{Secret: s.Name, Version: result.Status.Version, Done: stepOutputs(result.Done)}, nil
}

// patience is how long an event waits, if there's time, for the effect of a
// lost response to show up at the issuer.
const patience = time.Minute

// tooEarly says why a step isn't due yet, "" if it is. A key that doesn't exist
// isn't too young to be created.
func tooEarly(state rotation.State, step rota.Step, days int, now time.Time) string {
	since, what := time.Time{}, "the current key was created"
	if current, ok := rota.Find(state.Contents.Versions, rota.LabelCurrent); ok {
		since = current.CreatedAt
	}
	if step == rota.StepDelete {
		if _, off := rota.Find(state.Contents.Versions, rota.LabelDeactivated); !off {
			return "the previous key, if there is one, hasn't been deactivated yet"
		}
		since, what = state.Contents.ChangedAt, "the previous key was deactivated"
	}
	if since.IsZero() || now.UTC().Truncate(rota.Day).Sub(since.UTC().Truncate(rota.Day)) >= time.Duration(days)*rota.Day {
		return ""
	}
	return fmt.Sprintf("%s on %s, and after_days is %d", what, since.UTC().Format(time.DateOnly), days)
}
