package vault

import (
	"testing"
	"time"
)

// A period alone doesn't make a token last: explicit_max_ttl ends it all the same.
func TestAPeriodicTokenMayEnd(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for name, c := range map[string]struct {
		a    about
		want bool
	}{
		"periodic":                    {about{Renewable: true, Period: 3600}, true},
		"with an end that's far off":  {about{Renewable: true, Period: 3600, Made: now.Unix(), Most: 7200}, true},
		"with an end that's too soon": {about{Renewable: true, Period: 3600, Made: now.Unix() - 3601, Most: 7200}, false},
		"not renewable":               {about{Period: 3600}, false},
		"without a period":            {about{Renewable: true}, false},
	} {
		if got := c.a.renewsFor(time.Hour, now); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
