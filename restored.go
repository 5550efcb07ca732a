package rota

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// compare logs in with the current credential where the store was put back to
// an older state since that was last done: what was rotated after the backup is
// known to the issuer alone. One that it refused is tried again at every look.
func (w *work) compare(ctx context.Context) error {
	current, ok := findCredential(w.state.Contents.Versions, Current)
	refused := !w.progress.Versions[current.ID].RefusedAt.IsZero()
	if !ok || w.state.Traits.Manual || !refused && !w.restored.After(w.progress.ComparedAt) {
		return nil
	}
	c, err := w.get(ctx, current.ID)
	if err != nil {
		return fmt.Errorf("read version %s: %w", current.ID, err)
	}
	err = w.retry(ctx, 3, "issuer.test", current.CredentialID, func(ctx context.Context) error {
		return w.s.Issuer.Test(ctx, TestRequest{Credential: c})
	})
	switch {
	case err == nil && refused:
		w.update(current.ID, func(vp *VersionProgress) { vp.RefusedAt = time.Time{} })
	case errors.Is(err, ErrRefused):
		w.update(current.ID, func(vp *VersionProgress) { vp.RefusedAt = w.Now() })
	case err != nil:
		return fmt.Errorf("compare with the issuer, as the store was restored: %w", err)
	}
	w.progress.ComparedAt = w.Now()
	w.state.Progress = w.progress
	return nil
}

// ruleRefused holds where the issuer refuses the current credential after the
// store was put back to an older state: nothing is delivered of what is dead,
// and the one in force may be somewhere still.
func ruleRefused(v *view) (Decision, bool) {
	since := v.Progress.Versions[v.current.ID].RefusedAt
	if !v.hasCurrent || since.IsZero() || v.Force == Create {
		return Decision{}, false
	}
	return v.hold(NotAtIssuer, Create, since, v.now.Add(holdLook),
		"the issuer refuses the current credential %s: the store was put back to an older state (try: rota adopt %s --from - with the one in force, or rota rotate %s)",
		v.current.CredentialID, v.Secret, v.Secret)
}
