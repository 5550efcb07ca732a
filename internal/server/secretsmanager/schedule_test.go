package secretsmanager

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/rota-dev/rota/internal/store/record"
)

func TestSchedules(t *testing.T) {
	last := time.Date(2026, 3, 4, 10, 30, 0, 0, time.UTC) // a Wednesday
	for _, test := range []struct {
		name  string
		rules rotationRules
		next  string // "" if the rules are refused
		end   string
	}{
		{"after days", rotationRules{AutomaticallyAfterDays: aws.Int64(30)}, "2026-04-03T00:00", "2026-04-03T23:59"},
		{"after days, in a window", rotationRules{AutomaticallyAfterDays: aws.Int64(1), Duration: "3h"}, "2026-03-05T00:00", "2026-03-05T03:00"},
		{"every few hours", rotationRules{ScheduleExpression: "rate(4 hours)"}, "2026-03-04T14:00", "2026-03-04T15:00"},
		{"every few days", rotationRules{ScheduleExpression: "rate(10 days)"}, "2026-03-14T00:00", "2026-03-14T23:59"},
		{"daily", rotationRules{ScheduleExpression: "rate(1 day)", Duration: "24h"}, "2026-03-05T00:00", "2026-03-06T00:00"},
		{"at an hour of a day of the month", rotationRules{ScheduleExpression: "cron(0 8 1 * ? *)", Duration: "2h"}, "2026-04-01T08:00", "2026-04-01T10:00"},
		{"on the month's last day", rotationRules{ScheduleExpression: "cron(0 1 L * ? *)"}, "2026-03-31T01:00", "2026-03-31T23:59"},
		{"on Sundays, by AWS's number", rotationRules{ScheduleExpression: "cron(0 2 ? * 1 *)"}, "2026-03-08T02:00", "2026-03-08T23:59"},
		{"from Monday to Friday", rotationRules{ScheduleExpression: "cron(0 2 ? * 2-6 *)"}, "2026-03-05T02:00", "2026-03-05T23:59"},
		{"on the third Monday", rotationRules{ScheduleExpression: "cron(0 16 ? * 2#3 *)"}, "2026-03-16T16:00", "2026-03-16T23:59"},
		{"on the last Friday", rotationRules{ScheduleExpression: "cron(0 16 ? * 6L *)"}, "2026-03-27T16:00", "2026-03-27T23:59"},
		{"on named days", rotationRules{ScheduleExpression: "cron(0 0 ? * SAT,SUN *)"}, "2026-03-07T00:00", "2026-03-07T23:59"},
		{"both", rotationRules{AutomaticallyAfterDays: aws.Int64(1), ScheduleExpression: "rate(1 day)"}, "", ""},
		{"too often", rotationRules{ScheduleExpression: "rate(3 hours)"}, "", ""},
		{"too seldom", rotationRules{ScheduleExpression: "rate(1000 days)"}, "", ""},
		{"after no days", rotationRules{AutomaticallyAfterDays: aws.Int64(0)}, "", ""},
		{"after a thousand days", rotationRules{AutomaticallyAfterDays: aws.Int64(1000)}, "2028-11-28T00:00", "2028-11-28T23:59"},
		{"too seldom in days", rotationRules{AutomaticallyAfterDays: aws.Int64(1001)}, "", ""},
		{"not on the hour", rotationRules{ScheduleExpression: "cron(5 8 * * ? *)"}, "", ""},
		{"in one year", rotationRules{ScheduleExpression: "cron(0 8 * * ? 2027)"}, "", ""},
		{"on days of the month and of the week", rotationRules{ScheduleExpression: "cron(0 8 1 * 2 *)"}, "", ""},
		{"on every day of both", rotationRules{ScheduleExpression: "cron(0 8 * * * *)"}, "", ""},
		{"on no day of either", rotationRules{ScheduleExpression: "cron(0 8 ? * ? *)"}, "", ""},
		{"of five fields", rotationRules{ScheduleExpression: "cron(0 8 * * *)"}, "", ""},
		{"at no hour", rotationRules{ScheduleExpression: "cron(0 25 * * ? *)"}, "", ""},
		{"of another kind", rotationRules{ScheduleExpression: "at(2027-01-01)"}, "", ""},
		{"a window into the next", rotationRules{ScheduleExpression: "rate(4 hours)", Duration: "5h"}, "", ""},
		{"a window longer than a day", rotationRules{AutomaticallyAfterDays: aws.Int64(2), Duration: "25h"}, "", ""},
		{"a window of minutes", rotationRules{AutomaticallyAfterDays: aws.Int64(2), Duration: "30m"}, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.rules.check()
			if (err == nil) != (test.next != "") {
				t.Fatalf("error %v", err)
			}
			if err != nil {
				return
			}
			r := record.Rotation{AfterDays: test.rules.days(), Duration: test.rules.Duration, Schedule: test.rules.ScheduleExpression}
			r.NextAt = next(r, last)
			const form = "2006-01-02T15:04"
			if got, end := r.NextAt.Format(form), windowEnd(r, r.NextAt).Format(form); got != test.next || end != test.end {
				t.Errorf("%s to %s, want %s to %s", got, end, test.next, test.end)
			}
		})
	}
}
