package rotation_test

import (
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// What a rollback replaced becomes the previous credential, and the issuer is asked
// whether that one is in use: nobody is told that it doesn't say.
func TestARollbackAsksWhetherWhatItReplacedIsInUse(t *testing.T) {
	b := newTokens(t)
	b.advance(t, rotation.Options{})
	b.days(1)
	b.advance(t, rotation.Options{Force: rota.StepCreate})
	res, err := b.rotator.Rollback(t.Context(), b.secret)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(res.Status.Reason, "it will be held") || len(res.Status.Remedies) > 0 {
		t.Errorf("after the rollback it says %q, with %v", res.Status.Reason, res.Status.Remedies)
	}
}
