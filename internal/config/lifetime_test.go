package config

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/rotation"
)

func TestTheDefaultsForMonthsDoNotHoldForSessions(t *testing.T) {
	f, err := builtin.Parse("rota.yaml", []byte(`
connections: {a: {aws: {region: eu-central-1}}}
defaults:
  policy: {rotate_every: 90d, delete_previous_after: 20d, max_attempts: 7, window: {cron: "0 9 * * MON", for: 4h}, late_after: 2d}
secrets:
  - {name: plain, issuer: {connection: a, assume_role: {role_arn: "arn:aws:iam::111122223333:role/x"}}}
  - name: quick
    issuer: {connection: a, assume_role: {role_arn: "arn:aws:iam::111122223333:role/x", duration: 12h}}
    policy: {rotate_every: 40m, jitter: 1m, late_after: 5m}
`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]rotation.Policy{
		"plain": {RotateEvery: 40 * time.Minute, Jitter: 200 * time.Second, Retire: rotation.RetireAfterGrace, MaxAttempts: 7,
			WarnBefore: 10 * time.Minute, LateAfter: 10 * time.Minute},
		"quick": {RotateEvery: 40 * time.Minute, Jitter: time.Minute, Retire: rotation.RetireAfterGrace, MaxAttempts: 7,
			WarnBefore: 5*time.Hour + 40*time.Minute, LateAfter: 5 * time.Minute},
	} {
		if diff := cmp.Diff(want, f.Policy(name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestALongSessionOverAConnectionThatIsARoleIsRefused(t *testing.T) {
	_, err := builtin.Parse("rota.yaml", []byte(`
connections: {a: {aws: {region: eu-central-1, role_arn: "arn:aws:iam::111122223333:role/rota"}}}
secrets:
  - {name: x, issuer: {connection: a, assume_role: {role_arn: "arn:aws:iam::111122223333:role/x", duration: 2h}}}
`))
	want := `rota.yaml:4:109: secrets[x].issuer.assume_role.duration: more than the 1h that AWS gives where a role is assumed with another role's credentials, as by connection "a" (try: 1h, or a connection without role_arn)`
	if err == nil || hint.Text(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
