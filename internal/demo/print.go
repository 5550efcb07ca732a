package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/rotation"
)

// printer prints the demo's story. A day and a secret are printed once, before
// their first step.
type printer struct {
	out    io.Writer
	color  bool
	day    int
	at     time.Time
	secret string
	named  bool
	heard  int // notifications printed so far
}

func (p *printer) paint(code, text string) string {
	if !p.color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (p *printer) line(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

func (p *printer) opening(w *world) {
	p.line("%s", p.paint("1", "Two credentials, 201 days: real rotations on embedded parts, with a fast clock"))
	p.line("")
	p.line("  AWS        in memory, at %s: IAM, STS, S3, Secrets Manager, SNS, through AWS's own SDK", w.aws.URL())
	p.line("  database   in memory, with the roles %s and %s, used alternately", roleA, roleB)
	p.line("  own store  SQLite, encrypted, in %s", w.dir)
	p.line("  policy     rotate every 90 days; 10 days later deactivate the previous one, 10 days after that delete it")
	p.line("  consumers  two applications that log in every day with the credential they were given")
	p.line("")
	p.line("A scheduler calls Rota every hour. This is what it does:")
}

// turn records where in the story the next step belongs.
func (p *printer) turn(day int, at time.Time, secret string) {
	p.day, p.at, p.secret, p.named = day, at, secret, false
}

func (p *printer) step(r rotation.Report) {
	if !r.Done {
		return
	}
	if !p.named {
		p.named = true
		p.line("")
		p.line("%s  %s  %s", p.paint("1", fmt.Sprintf("day %3d", p.day)), p.at.Format("2006-01-02"), p.paint("1;36", p.secret))
	}
	mark := p.paint("32", "ok")
	reason := r.Decision.Reason
	if r.Err != nil {
		mark, reason = p.paint("31", "failed"), hint.Text(r.Err)
	}
	p.line("  %-10s %s  %s", r.Decision.Step, mark, reason)
}

// state prints the labels, the issuer's keys and the notifications, as the
// systems themselves have them.
func (p *printer) state(ctx context.Context, w *world, s *rotation.Secret) error {
	st, _, err := w.rotator.Observe(ctx, s)
	if err != nil {
		return err
	}
	var labels []string
	for _, v := range st.Contents.Versions {
		var names []string
		for _, l := range v.Labels {
			names = append(names, string(l))
		}
		slices.Sort(names)
		labels = append(labels, fmt.Sprintf("%s %s", v.CredentialID, strings.Join(names, "+")))
	}
	slices.Sort(labels)
	p.line("  %s", p.paint("2", "store       "+strings.Join(labels, " | ")))
	if s.Name == awsName {
		var keys []string
		for _, k := range w.aws.Keys(user) {
			keys = append(keys, k.ID+" "+strings.ToLower(k.Status))
		}
		p.line("  %s", p.paint("2", "IAM         "+strings.Join(keys, " | ")))
	} else {
		var roles []string
		for _, k := range w.db.Keys() {
			state := "login"
			if !k.Active {
				state = "no login"
			}
			roles = append(roles, k.ID+" "+state)
		}
		p.line("  %s", p.paint("2", "database    "+strings.Join(roles, " | ")))
	}
	published := w.aws.Published(w.topic)
	for _, m := range published[p.heard:] {
		p.line("  %s", p.paint("2", "notified    "+m.Subject))
	}
	p.heard = len(published)
	return nil
}

// age is how old a credential was when it was replaced, and afterwards.
type age struct {
	secret      string
	day         int
	issued, at  time.Time
	issuedAfter time.Time
}

func (p *printer) closing(ctx context.Context, w *world, ages []age) error {
	p.line("")
	p.line("%s", p.paint("1", "Ages of the credentials, before and after each rotation"))
	p.line("")
	t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  SECRET\tDAY\tBEFORE\tAFTER")
	for _, a := range ages {
		before := "none"
		if !a.issued.IsZero() {
			before = rota.FormatDuration(a.at.Sub(a.issued))
		}
		fmt.Fprintf(t, "  %s\t%d\t%s\t%s\n", a.secret, a.day, before, days(a.at.Sub(a.issuedAfter)))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	p.line("")
	for _, a := range w.apps {
		p.line("  %-7s logged in %d times, refused %d times", a.name, a.logins, a.failures)
	}
	other, err := otherFields(w)
	if err != nil {
		return err
	}
	p.line("  other fields of the secret %s, kept: %s", awsName, strings.Join(slices.Sorted(maps.Keys(other)), ", "))
	verified, err := w.own.Audit().Verify(ctx)
	if err != nil {
		return err
	}
	p.line("  audit   %d entries, the chain verifies", verified.Entries)
	p.line("")
	p.line("%s", p.paint("1", "With your own credentials"))
	p.line(`
  bin/rota init                 # writes rota.yaml: name your IAM user or database role in it
  bin/rota check                # does Rota have the permissions it needs? changes nothing
  bin/rota plan --for 120d      # what will happen, and why
  bin/rota rotate NAME          # the first rotation
  bin/rota run                  # everything that's due: run it from cron or a pipeline

  README.md takes you there in five minutes.`)
	return nil
}

func days(d time.Duration) string {
	if d < rota.Day {
		return "0d"
	}
	return rota.FormatDuration(d)
}

// otherFields are the fields of the AWS secret that aren't the credential's.
func otherFields(w *world) (map[string]any, error) {
	text, ok := w.aws.SecretText(awsName, string(rota.LabelCurrent))
	if !ok {
		return nil, fmt.Errorf("%s has no current value: %w", awsName, rota.ErrNotFound)
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		return nil, err
	}
	delete(fields, "access-id")
	delete(fields, "secret-key")
	return fields, nil
}
