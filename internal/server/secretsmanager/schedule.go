package secretsmanager

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	cron "github.com/netresearch/go-cron"

	"github.com/rota-dev/rota/internal/store/record"
)

// rotationRules say when a secret is rotated automatically.
type rotationRules struct {
	AutomaticallyAfterDays *int64 `json:",omitempty"`
	Duration               string `json:",omitempty"`
	ScheduleExpression     string `json:",omitempty"`
}

func rulesOf(r record.Rotation) rotationRules {
	rules := rotationRules{Duration: r.Duration, ScheduleExpression: r.Schedule}
	if r.AfterDays > 0 {
		rules.AutomaticallyAfterDays = &r.AfterDays
	}
	return rules
}

const (
	maxAfterDays = 1000
	minEvery     = 4 * time.Hour
	day          = 24 * time.Hour
	maxEvery     = 999 * day
)

func (r rotationRules) check() error {
	if r.AutomaticallyAfterDays != nil && r.ScheduleExpression != "" {
		return errInvalidParameter("You can set AutomaticallyAfterDays or ScheduleExpression, but not both.")
	}
	if err := checkRange("rotationRules.automaticallyAfterDays", r.AutomaticallyAfterDays, 1, maxAfterDays); err != nil {
		return err
	}
	hours, ok := r.hours()
	if !ok {
		return violation("rotationRules.duration", "Member must satisfy regular expression pattern: [0-9]+h, and be 1h to 24h")
	}
	if r.ScheduleExpression == "" {
		return nil
	}
	e, err := parseSchedule(r.ScheduleExpression)
	if err != nil {
		return err
	}
	if e.every > 0 && e.every < day && time.Duration(hours)*time.Hour > e.every {
		return errInvalidParameter("The rotation window must not extend into the next one.")
	}
	return nil
}

// days is AutomaticallyAfterDays, 0 if it isn't set.
func (r rotationRules) days() int64 {
	if r.AutomaticallyAfterDays == nil {
		return 0
	}
	return *r.AutomaticallyAfterDays
}

// hours is the window's length, 0 if none is set.
func (r rotationRules) hours() (int, bool) {
	if r.Duration == "" {
		return 0, true
	}
	n, err := strconv.Atoi(strings.TrimSuffix(r.Duration, "h"))
	return n, err == nil && strings.HasSuffix(r.Duration, "h") && n >= 1 && n <= 24
}

// expression is a parsed ScheduleExpression: a rate or a cron schedule.
type expression struct {
	every time.Duration
	cron  cron.Schedule
}

var (
	rateForm = regexp.MustCompile(`^rate\((\d{1,5}) (hour|hours|day|days)\)$`)
	cronForm = regexp.MustCompile(`^cron\(([0-9A-Za-z#?*\-/, ]+)\)$`)
	cronRead = cron.MustNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.DowNth | cron.DowLast | cron.DomL | cron.DomW)
)

func parseSchedule(text string) (expression, error) {
	bad := errInvalidParameter("The ScheduleExpression must be rate(4 hours) to rate(999 days), or cron(0 hour day month weekday *).")
	if m := rateForm.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(m[1]) // the pattern allows digits only
		every := time.Duration(n) * time.Hour
		if strings.HasPrefix(m[2], "day") {
			every = time.Duration(n) * day
		}
		if every < minEvery || every > maxEvery {
			return expression{}, bad
		}
		return expression{every: every}, nil
	}
	m := cronForm.FindStringSubmatch(text)
	if m == nil {
		return expression{}, bad
	}
	fields := strings.Fields(m[1])
	if len(fields) != 6 || fields[0] != "0" || fields[5] != "*" || (fields[2] == "?") == (fields[4] == "?") { // one of the two days, and not both
		return expression{}, bad
	}
	fields[4] = weekdays(fields[4])
	schedule, err := cronRead.Parse(strings.Join(fields[:5], " "))
	if err != nil {
		return expression{}, bad
	}
	return expression{cron: schedule}, nil
}

var weekday = regexp.MustCompile(`(^|[,-])([1-7])(L?)`)

// weekdays converts AWS's weekdays, 1 for Sunday to 7, into cron's 0 to 6, and
// its 6L, the last Friday of the month, into 5#L.
func weekdays(field string) string {
	return weekday.ReplaceAllStringFunc(field, func(part string) string {
		m := weekday.FindStringSubmatch(part)
		last := ""
		if m[3] != "" {
			last = "#L"
		}
		return fmt.Sprintf("%s%c%s", m[1], m[2][0]-1, last)
	})
}

// next is when the rotation after the last one is due: when its window opens.
// Zero without a schedule. Windows open on the hour, or, for rates in days, at
// midnight.
func next(r record.Rotation, last time.Time) time.Time {
	last = last.UTC()
	if r.AfterDays > 0 {
		return record.Day(last.AddDate(0, 0, int(r.AfterDays)))
	}
	if r.Schedule == "" {
		return time.Time{}
	}
	e, err := parseSchedule(r.Schedule)
	switch {
	case err != nil: // it was validated when it was set
		return time.Time{}
	case e.cron != nil:
		return e.cron.Next(last)
	case e.every%day == 0:
		return record.Day(last.Add(e.every))
	}
	return last.Add(e.every).Truncate(time.Hour)
}

// nextByRules is when the next rotation is due. During a rehearsal, NextAt is
// when to look after that, and the schedule counts from when it began.
func nextByRules(r record.Record) time.Time {
	v := r.Version(r.Rotation.Underway.Version)
	if v == nil || !r.Rotation.Underway.Rehearsal {
		return r.Rotation.NextAt
	}
	last := r.Rotation.RotatedAt
	if last.Before(v.CreatedAt) {
		last = v.CreatedAt
	}
	return next(r.Rotation, last)
}

// windowEnd is when a rotation that's due at a time is done at the latest: the
// end of the window, which defaults to that day, or to an hour for a rate in
// hours.
func windowEnd(r record.Rotation, at time.Time) time.Time {
	if hours, _ := rulesOf(r).hours(); hours > 0 {
		return at.Add(time.Duration(hours) * time.Hour)
	}
	if e, err := parseSchedule(r.Schedule); err == nil && e.every > 0 && e.every%day != 0 {
		return at.Add(time.Hour)
	}
	return record.Day(at).Add(day - time.Second)
}
