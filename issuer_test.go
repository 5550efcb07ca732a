package rota_test

import (
	"testing"
	"time"

	"github.com/rota-dev/rota"
)

func TestACredentialInConstantUseNeverLooksUnused(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, test := range map[string]struct{ noted, want time.Time }{
		"never":                      {time.Time{}, time.Time{}},
		"just now":                   {now, now},
		"it may have been since":     {ago(9 * time.Minute), now},
		"it may have been for a bit": {ago(25 * time.Minute), ago(15 * time.Minute)},
		"by a clock that's ahead":    {now.Add(time.Minute), now.Add(time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			if got := rota.LatestUse(test.noted, 10*time.Minute, now); !got.Equal(test.want) {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}
