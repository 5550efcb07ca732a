package rotation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/rotation"
)

func moment(t *testing.T, text string) time.Time {
	t.Helper()
	m, err := time.Parse("2006-01-02 15:04:05Z07:00", text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestWindowOpensNext(t *testing.T) {
	for name, c := range map[string]struct {
		cron     string
		open     time.Duration
		zone     string
		at, want string
	}{
		"open now stays now":                  {"0 9 * * *", 4 * time.Hour, "", "2026-03-02 10:30:15Z", "2026-03-02 10:30:15Z"},
		"open from its first second":          {"0 9 * * *", 4 * time.Hour, "", "2026-03-02 09:00:00Z", "2026-03-02 09:00:00Z"},
		"not open the second before":          {"0 9 * * *", 4 * time.Hour, "", "2026-03-02 08:59:59Z", "2026-03-02 09:00:00Z"},
		"open in its last second":             {"0 9 * * *", 4 * time.Hour, "", "2026-03-02 12:59:59Z", "2026-03-02 12:59:59Z"},
		"closed at its end":                   {"0 9 * * *", 4 * time.Hour, "", "2026-03-02 13:00:00Z", "2026-03-03 09:00:00Z"},
		"a weekday's window waits for Monday": {"0 9 * * MON-FRI", 4 * time.Hour, "", "2026-03-06 14:00:00Z", "2026-03-09 09:00:00Z"},
		"open over midnight":                  {"0 22 * * *", 4 * time.Hour, "", "2026-03-03 01:59:00Z", "2026-03-03 01:59:00Z"},
		"closed after midnight's end":         {"0 22 * * *", 4 * time.Hour, "", "2026-03-03 02:00:00Z", "2026-03-03 22:00:00Z"},
		"Friday night goes on into Saturday":  {"0 22 * * FRI", 6 * time.Hour, "", "2026-03-07 03:00:00Z", "2026-03-07 03:00:00Z"},
		"over the turn of the year":           {"0 23 31 12 *", 2 * time.Hour, "", "2027-01-01 00:30:00Z", "2027-01-01 00:30:00Z"},
		"a leap day":                          {"0 9 29 2 *", time.Hour, "", "2026-03-01 00:00:00Z", "2028-02-29 09:00:00Z"},
		"eight years without a leap day":      {"0 9 29 2 *", time.Hour, "", "2096-03-01 00:00:00Z", "2104-02-29 09:00:00Z"},
		"the 31st leaves short months out":    {"0 9 31 * *", time.Hour, "", "2026-04-01 00:00:00Z", "2026-05-31 09:00:00Z"},
		"longer than the span between two":    {"0 0 * * *", 48 * time.Hour, "", "2026-03-02 12:00:00Z", "2026-03-02 12:00:00Z"},

		// Europe/Berlin is UTC+1, and UTC+2 from 2026-03-29 01:00Z to 2026-10-25 01:00Z.
		"winter in Berlin":                           {"0 9 * * *", time.Hour, "Europe/Berlin", "2026-03-28 00:00:00Z", "2026-03-28 08:00:00Z"},
		"summer in Berlin":                           {"0 9 * * *", time.Hour, "Europe/Berlin", "2026-03-29 02:00:00Z", "2026-03-29 07:00:00Z"},
		"a window before the lost hour":              {"0 1 * * *", 3 * time.Hour, "Europe/Berlin", "2026-03-29 02:59:59Z", "2026-03-29 02:59:59Z"},
		"it is three hours long by the clock's tick": {"0 1 * * *", 3 * time.Hour, "Europe/Berlin", "2026-03-29 03:00:00Z", "2026-03-29 23:00:00Z"},
		"an opening in the repeated hour":            {"30 2 * * *", 30 * time.Minute, "Europe/Berlin", "2026-10-25 00:15:00Z", "2026-10-25 00:30:00Z"},
		"a window over the repeated hour":            {"0 1 * * *", 4 * time.Hour, "Europe/Berlin", "2026-10-25 02:59:00Z", "2026-10-25 02:59:00Z"},
		"and not longer":                             {"0 1 * * *", 4 * time.Hour, "Europe/Berlin", "2026-10-25 03:00:00Z", "2026-10-26 00:00:00Z"},
		"back in winter in Berlin":                   {"0 9 * * *", time.Hour, "Europe/Berlin", "2026-10-25 02:00:00Z", "2026-10-25 08:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := rotation.ParseWindow(c.cron, c.open, c.zone)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := w.Open(moment(t, c.at)), moment(t, c.want); !got.Equal(want) {
				t.Errorf("at %s opens %s, want %s", c.at, got.UTC().Format(time.RFC3339), want.Format(time.RFC3339))
			}
		})
	}
}

// 02:30 does not exist in Berlin on 2026-03-29. The window must not be lost:
// it opens on that day at the latest an hour late, or not before.
func TestAWindowThatOpensInTheLostHourOpensOnThatDay(t *testing.T) {
	w, err := rotation.ParseWindow("30 2 * * *", 2*time.Hour, "Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	got := w.Open(moment(t, "2026-03-28 12:00:00Z"))
	if got.Before(moment(t, "2026-03-29 00:30:00Z")) || got.After(moment(t, "2026-03-29 01:30:00Z")) {
		t.Errorf("opens %s, want it in the night of the change", got.UTC())
	}
}

func TestNoWindowIsAlwaysOpen(t *testing.T) {
	var w *rotation.Window
	at := moment(t, "2026-03-29 01:30:00Z")
	if got := w.Open(at); !got.Equal(at) {
		t.Errorf("got %s", got)
	}
}

func TestParseWindowRefusesWhatNeverOpens(t *testing.T) {
	for name, c := range map[string]struct {
		cron string
		open time.Duration
		zone string
		want string
	}{
		"a day that never comes":   {"0 0 30 2 *", time.Hour, "", "never comes"},
		"an hour that is none":     {"0 25 * * *", time.Hour, "", `cron "0 25 * * *"`},
		"four fields":              {"0 9 * *", time.Hour, "", "cron"},
		"six fields":               {"0 0 9 * * *", time.Hour, "", "cron"},
		"no cron at all":           {"", time.Hour, "", "cron"},
		"an unknown time zone":     {"0 9 * * *", time.Hour, "Europe/Berln", "time zone"},
		"a path for a time zone":   {"0 9 * * *", time.Hour, "../../etc/passwd", "time zone"},
		"the machine's own zone":   {"0 9 * * *", time.Hour, "Local", "time zone"},
		"nothing long":             {"0 9 * * *", 0, "", "more than nothing"},
		"longer than a month":      {"0 9 * * *", 32 * rota.Day, "", "at most 31d"},
		"days of both kinds":       {"0 2 1-7 * SUN", time.Hour, "", "either or both"},
		"an interval, not a time":  {"@every 90m", time.Hour, "", "cron"},
		"a time zone of the field": {"TZ=Asia/Tokyo 0 9 * * *", time.Hour, "Europe/Berlin", "cron"},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := rotation.ParseWindow(c.cron, c.open, c.zone)
			if err == nil {
				t.Fatalf("taken as %s", w)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q, want one with %q", err, c.want)
			}
		})
	}
}

// Next is never in the past, and at the moment that it names the window is
// open.
func TestAWindowIsOpenWhenItSaysSo(t *testing.T) {
	specs := []string{"0 9 * * *", "30 2 * * *", "0 22 * * FRI", "15 1-3 * * *", "0 0 29 2 *", "*/7 * * * *", "0 0 1 * *"}
	zones := []string{"", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu"}
	rapid.Check(t, func(t *rapid.T) {
		spec, zone := rapid.SampledFrom(specs).Draw(t, "cron"), rapid.SampledFrom(zones).Draw(t, "zone")
		open := time.Duration(rapid.IntRange(1, 72).Draw(t, "half hours")) * 30 * time.Minute
		w, err := rotation.ParseWindow(spec, open, zone)
		if err != nil {
			t.Fatal(err)
		}
		at := time.Unix(rapid.Int64Range(946684800, 4102444800).Draw(t, "at"), 0)
		next := w.Open(at)
		if next.Before(at) {
			t.Fatalf("%s at %s: next is %s, in the past", w, at.UTC(), next.UTC())
		}
		if again := w.Open(next); !again.Equal(next) {
			t.Errorf("%s at %s: next is %s, but then it opens only %s", w, at.UTC(), next.UTC(), again.UTC())
		}
	})
}

func TestPolicyDefaults(t *testing.T) {
	for name, c := range map[string]struct {
		give, want rotation.Policy
	}{
		"everything": {rotation.Policy{DeactivatePreviousAfter: 10 * rota.Day},
			rotation.Policy{DeactivatePreviousAfter: 10 * rota.Day, Retire: rotation.RetireAfterGrace, UnusedFor: 7 * rota.Day, MaxAttempts: 20, TestWithin: 30 * time.Second, LateAfter: rota.Day, WarnBefore: 14 * rota.Day}},
		"the quiet time is no longer than the grace": {rotation.Policy{DeactivatePreviousAfter: 3 * rota.Day},
			rotation.Policy{DeactivatePreviousAfter: 3 * rota.Day, Retire: rotation.RetireAfterGrace, UnusedFor: 3 * rota.Day, MaxAttempts: 20, TestWithin: 30 * time.Second, LateAfter: rota.Day, WarnBefore: 14 * rota.Day}},
		"the quiet time is a day at least": {rotation.Policy{DeactivatePreviousAfter: time.Hour},
			rotation.Policy{DeactivatePreviousAfter: time.Hour, Retire: rotation.RetireAfterGrace, UnusedFor: rota.Day, MaxAttempts: 20, TestWithin: 30 * time.Second, LateAfter: rota.Day, WarnBefore: 14 * rota.Day}},
		"there is no grace before the next is made": {rotation.Policy{Retire: rotation.RetireBeforeCreate},
			rotation.Policy{Retire: rotation.RetireBeforeCreate, UnusedFor: 7 * rota.Day, MaxAttempts: 20, TestWithin: 30 * time.Second, LateAfter: rota.Day, WarnBefore: 14 * rota.Day}},
		"what is set stays": {rotation.Policy{Retire: rotation.RetireBeforeCreate, UnusedFor: 1, MaxAttempts: 2, TestWithin: 5, LateAfter: 3, WarnBefore: 4},
			rotation.Policy{Retire: rotation.RetireBeforeCreate, UnusedFor: 1, MaxAttempts: 2, TestWithin: 5, LateAfter: 3, WarnBefore: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, c.give.WithDefaults()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPolicyValidateRefusesWhatIsImpossible(t *testing.T) {
	window, err := rotation.ParseWindow("0 9 * * *", time.Hour, "")
	if err != nil {
		t.Fatal(err)
	}
	schedule, err := rotation.ParseCron("0 9 1 * *", "")
	if err != nil {
		t.Fatal(err)
	}
	pair := rota.Traits{Kind: "IAM access key", Limit: 2}
	single := rota.Traits{Kind: "PostgreSQL password", Limit: 1}
	days := func(every, deactivate, remove int) rotation.Policy {
		return rotation.Policy{RotateEvery: time.Duration(every) * rota.Day, DeactivatePreviousAfter: time.Duration(deactivate) * rota.Day, DeletePreviousAfter: time.Duration(remove) * rota.Day}
	}
	with := func(p rotation.Policy, change func(*rotation.Policy)) rotation.Policy { change(&p); return p }
	for name, c := range map[string]struct {
		policy rotation.Policy
		traits rota.Traits
		want   []string // in the error; none for no error
	}{
		"90, 100, 110":                       {days(90, 10, 20), pair, nil},
		"never by itself":                    {days(0, 10, 20), pair, nil},
		"everything at once":                 {days(1, 0, 0), pair, nil},
		"deletion as late as the next":       {days(20, 10, 20), pair, []string{"delete_previous_after (20d)", "rotate_every (20d)", "IAM access key", "try: "}},
		"deletion later than the next":       {days(20, 10, 30), pair, []string{"delete_previous_after (30d)"}},
		"retired just before the next":       {with(days(20, 10, 30), func(p *rotation.Policy) { p.Retire = rotation.RetireBeforeCreate }), pair, nil},
		"deletion before deactivation":       {days(90, 20, 10), pair, []string{"delete_previous_after (10d) is before deactivate_previous_after (20d)"}},
		"two mistakes are both said":         {days(5, 20, 10), pair, []string{"is before deactivate_previous_after", "must be shorter than rotate_every"}},
		"a single password has no previous":  {days(5, 20, 10), single, nil},
		"a negative period":                  {days(-1, 0, 0), pair, []string{"rotate_every is negative"}},
		"a negative grace":                   {days(90, -1, 0), single, []string{"deactivate_previous_after is negative"}},
		"an unknown style":                   {with(days(90, 10, 20), func(p *rotation.Policy) { p.Retire = "sometimes" }), pair, []string{`retire_previous is "sometimes"`, "after_grace"}},
		"a window and a period":              {with(days(90, 10, 20), func(p *rotation.Policy) { p.Window = window }), pair, nil},
		"a window without a period":          {with(days(0, 10, 20), func(p *rotation.Policy) { p.Window = window }), single, []string{"a window without rotate_every"}},
		"longer than a credential lasts":     {days(90, 10, 20), rota.Traits{Kind: "token", EndsAfter: 90 * rota.Day}, []string{"each token ends by itself after 90d, before rotate_every (90d) is over", "less than 90d"}},
		"a bit less than a credential lasts": {days(89, 10, 20), rota.Traits{Kind: "token", EndsAfter: 90 * rota.Day}, nil},
		"a period shorter than a rotation":   {rotation.Policy{RotateEvery: time.Second}, single, []string{"rotate_every (1s) is shorter than a rotation may take", "2s or more"}},
		"the shortest period":                {rotation.Policy{RotateEvery: 2 * time.Second}, single, nil},
		"a period shorter than its list's delay": {rotation.Policy{RotateEvery: time.Minute}, rota.Traits{Kind: "IAM access key", Limit: 2, ConsistencyDelay: 2 * time.Minute},
			[]string{"rotate_every (1m) is shorter than a rotation may take", "2m or more"}},
		"apart for longer than the period": {with(days(10, 0, 0), func(p *rotation.Policy) { p.ApartFrom = []rotation.Apart{{Secret: "b", By: 10 * rota.Day}} }), single,
			[]string{"apart_from b: 10d apart is impossible with a rotation every 10d"}},
		"apart for less than the period": {with(days(10, 0, 0), func(p *rotation.Policy) { p.ApartFrom = []rotation.Apart{{Secret: "b", By: 9 * rota.Day}} }), single, nil},
		"unused until after the next": {with(days(90, 10, 20), func(p *rotation.Policy) { p.UnusedFor = 80 * rota.Day }), pair,
			[]string{"with unused_for (80d), the previous IAM access key takes its place for at least 90d", "the next is due after 90d"}},
		"unused until just before the next": {with(days(90, 10, 20), func(p *rotation.Policy) { p.UnusedFor = 79 * rota.Day }), pair, nil},
		"unused for a period before the next": {with(days(30, 0, 0), func(p *rotation.Policy) {
			p.Retire, p.UnusedFor = rotation.RetireBeforeCreate, 30*rota.Day
		}), pair, []string{"with unused_for (30d)"}},
		"two ways to say when":             {with(days(90, 10, 20), func(p *rotation.Policy) { p.RotateAt = schedule }), pair, []string{"rotate_at and rotate_every both say when"}},
		"a window and a schedule":          {rotation.Policy{RotateAt: schedule, Window: window}, single, nil},
		"spread over the whole period":     {with(days(10, 0, 0), func(p *rotation.Policy) { p.Jitter = 10 * rota.Day }), single, []string{"jitter (10d) must be shorter than rotate_every (10d)"}},
		"spread over nearly all of it":     {with(days(10, 0, 0), func(p *rotation.Policy) { p.Jitter = 9 * rota.Day }), single, nil},
		"apart for no time":                {with(days(10, 0, 0), func(p *rotation.Policy) { p.ApartFrom = []rotation.Apart{{Secret: "b"}} }), single, []string{"apart_from b: by is missing"}},
		"apart, and never by itself":       {with(days(0, 0, 0), func(p *rotation.Policy) { p.ApartFrom = []rotation.Apart{{Secret: "b", By: rota.Day}} }), single, nil},
		"unused for long, never by itself": {with(days(0, 10, 20), func(p *rotation.Policy) { p.UnusedFor = 80 * rota.Day }), pair, nil},
		"unused until the next, less its jitter": {with(days(90, 10, 20), func(p *rotation.Policy) { p.UnusedFor, p.Jitter = 75*rota.Day, 5*rota.Day }), pair,
			[]string{"takes its place for at least 85d", "the next is due after 85d"}},
		"deletion as late as the next, less its jitter": {with(days(25, 10, 20), func(p *rotation.Policy) { p.Jitter = 5 * rota.Day }), pair,
			[]string{"delete_previous_after (20d) must be shorter than rotate_every (25d) less its jitter"}},
		"deletion that's late only before_create": {with(days(10, 0, 20), func(p *rotation.Policy) {
			p.Retire, p.UnusedFor = rotation.RetireBeforeCreate, 5*rota.Day
		}), pair, nil},
		"no limit still holds the plan of it": {days(20, 10, 30), rota.Traits{Kind: "token"}, []string{"token"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.policy.Validate(c.traits)
			if (err == nil) != (c.want == nil) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
			for _, part := range c.want {
				if !strings.Contains(hint.Text(err), part) {
					t.Errorf("error %q, want one with %q", err, part)
				}
			}
			if strings.Contains(name, "as late as") && (strings.Count(err.Error(), "\n") > 0 || strings.Contains(err.Error(), "jitter") != (c.policy.Jitter > 0)) {
				t.Errorf("it says more: %v", err)
			}
		})
	}
}

func TestAWindowIsOpenForAMonthAtMost(t *testing.T) {
	if _, err := rotation.ParseWindow("0 9 1 * *", 31*rota.Day, ""); err != nil {
		t.Error(err)
	}
}

func TestWhetherAPeerIsTheSame(t *testing.T) {
	p := rotation.Peer{IssuedAt: at(1), RotateAt: at(91), BegunAt: at(2)}
	same := rotation.Status{IssuedAt: at(1), RotateAt: at(91), BegunAt: at(2)}
	issued, due, begun := same, same, same
	issued.IssuedAt, due.RotateAt, begun.BegunAt = at(3), at(3), at(3)
	if !p.SameAs(same) || p.SameAs(issued) || p.SameAs(due) || p.SameAs(begun) {
		t.Errorf("the same: %t, issued anew: %t, due at another time: %t, begun: %t", p.SameAs(same), p.SameAs(issued), p.SameAs(due), p.SameAs(begun))
	}
}

func FuzzParseWindow(f *testing.F) {
	for _, s := range []string{"0 9 * * MON-FRI", "*/5 * * * *", "0 0 30 2 *", "@daily", "@every 1h", "TZ=UTC 0 9 * * *", "H H * * *", "60 * * * *", "0 0 L * *", ""} {
		f.Add(s, int64(time.Hour), "Europe/Berlin")
	}
	at := time.Date(2026, 3, 29, 0, 30, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, spec string, open int64, zone string) {
		w, err := rotation.ParseWindow(spec, time.Duration(open), zone)
		if err != nil {
			return
		}
		if next := w.Open(at); next.Before(at) || !w.Open(next).Equal(next) {
			t.Errorf("%s: next is %s, then %s", w, next, w.Open(next))
		}
	})
}
