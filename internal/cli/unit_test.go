package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota/api"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/service"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/rotation"
)

var noon = time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)

func TestTimesReadFromNow(t *testing.T) {
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{time.Time{}, ""},
		{noon, "now"},
		{noon.Add(30 * time.Second), "now"},
		{noon.Add(12 * rota.Day), "in 12d"},
		{noon.Add(-90 * time.Minute), "1h30m ago"},
		{noon.Add(30*rota.Day - time.Hour), "in 30d"},
		{noon.Add(29*rota.Day + time.Hour), "in 29d"},
		{noon.Add(2*rota.Day - time.Minute), "in 2d"},
		{noon.Add(rota.Day + 50*time.Minute), "in 1d1h"},
		{noon.Add(rota.Day - time.Second), "in 1d"},
		{noon.Add(-3*rota.Day + time.Hour), "3d ago"},
	} {
		if got := relative(c.at, noon); got != c.want {
			t.Errorf("relative(%s) is %q, want %q", c.at, got, c.want)
		}
	}
}

func TestTheWorstCodeWins(t *testing.T) {
	for _, c := range []struct {
		codes []int
		want  int
	}{
		{nil, exitDone},
		{[]int{exitDone, exitHeld}, exitHeld},
		{[]int{exitBusy, exitHeld}, exitBusy},
		{[]int{exitBusy, exitFailed, exitHeld}, exitFailed},
	} {
		if got := worst(c.codes...); got != c.want {
			t.Errorf("worst of %v is %d, want %d", c.codes, got, c.want)
		}
	}
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, exitDone},
		{errors.New("x"), exitFailed},
		{usage("x"), exitUsage},
		{fmt.Errorf("s: %w", rota.ErrBusy), exitBusy},
		{fmt.Errorf("s: %w", rota.ErrFenced), exitBusy},
		{&service.UsageError{Err: errors.New("x")}, exitUsage},
		{fmt.Errorf("s: %w", access.ErrDenied), exitUsage},
		{silently(exitHeld), exitHeld},
		{silently(exitDone), exitDone},
	} {
		if got := codeOf(c.err); got != c.want {
			t.Errorf("the code of %v is %d, want %d", c.err, got, c.want)
		}
	}
}

func TestColorsDoNotWidenATable(t *testing.T) {
	row := func(name, state string, c color) []cell {
		return []cell{{name, plain}, {state, c}, {"", plain}, {"ä", plain}}
	}
	rows := [][]cell{row("a", "ok", green), row("long", "held", yellow)}
	print := func(s style) string {
		var out bytes.Buffer
		a := newApp(Program{Stdout: &out})
		a.outStyle = s
		a.table([]string{"SECRET", "STATE", "EMPTY", "X"}, rows)
		return out.String()
	}
	want := "SECRET  STATE  X\na       ok     ä\nlong    held   ä\n"
	if diff := cmp.Diff(want, print(style{})); diff != "" {
		t.Errorf("plain (-want +got):\n%s", diff)
	}
	colored := print(style{terminal: true, color: true})
	stripped := strings.NewReplacer("\x1b[0m", "", "\x1b[1m", "", "\x1b[32m", "", "\x1b[33m", "").Replace(colored)
	if diff := cmp.Diff(want, stripped); diff != "" || colored == stripped {
		t.Errorf("in colours (-want +got):\n%s", diff)
	}
}

func TestTheEndOfAnEffectIsPutToItsBeginning(t *testing.T) {
	record := func(step, object string, o rotation.Outcome, detail string) api.EntryDoc {
		return api.EntryDoc{Entry: rotation.Entry{Step: step, Object: object, Outcome: o, Detail: detail}}
	}
	var got []string
	for _, e := range effects([]api.EntryDoc{
		record("create", "", rotation.OutcomeBegun, "it is old"),
		record("create", "", rotation.OutcomeSucceeded, ""),
		record("deliver", "a", rotation.OutcomeBegun, "not there yet"),
		record("deliver", "b", rotation.OutcomeBegun, "not there yet"),
		record("deliver", "b", rotation.OutcomeFailed, "disk full"),
		record("deliver", "a", rotation.OutcomeSucceeded, ""),
		record("promote", "", rotation.OutcomeBegun, "it works"),
		record("get", "password", rotation.OutcomeSucceeded, ""),
	}) {
		got = append(got, fmt.Sprintf("%s %s %s: %s %s", e.Step, e.Object, e.Outcome, e.Detail, e.failure))
	}
	want := []string{
		"create  ok: it is old ", "deliver a ok: not there yet ", "deliver b failed: not there yet disk full",
		"promote  begun: it works ", "get password ok:  ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("effects (-want +got):\n%s", diff)
	}
}

func FuzzACredentialsErrorHoldsNoValue(f *testing.F) {
	const value = "canary-value-of-a-secret"
	for _, seed := range []string{`{"password": "%s"}`, `{"password": %s}`, `["%s"]`, `{"a": {"b": "%s"}}`, `{"password": "%s"`, `"%s"`, `{"p": "%s", "n": 1}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, template string) {
		fields, err := parseCredential([]byte(strings.ReplaceAll(template, "%s", value)))
		if (err == nil) == (len(fields) == 0) {
			t.Errorf("%d fields and the error %v", len(fields), err)
		}
		// A field's name may be told; its value may not.
		if err != nil && strings.Contains(err.Error(), value) && !strings.Contains(template, "\"%s\"") {
			t.Errorf("the error holds the value: %v", err)
		}
		for _, v := range fields {
			if v == "" {
				t.Error("a field is empty")
			}
		}
	})
}

func BenchmarkStatusOf1000Secrets(b *testing.B) {
	dir := b.TempDir()
	var config strings.Builder
	config.WriteString("connections:\n  prod: {aws: {}}\nsecrets:\n")
	db, err := store.Open(b.Context(), store.Options{Dir: dir + "/data"})
	if err != nil {
		b.Fatal(err)
	}
	for i := range 1000 {
		name := fmt.Sprintf("s%d", i)
		fmt.Fprintf(&config, "  - {name: %s, issuer: {connection: prod, iam_access_key: {user: u%d}}, policy: {rotate_every: 90d, deactivate_previous_after: 10d, delete_previous_after: 20d}}\n", name, i)
		lease, err := db.Journal().Acquire(b.Context(), rotation.AcquireRequest{Secret: name, Holder: "b", TTL: time.Minute})
		if err != nil {
			b.Fatal(err)
		}
		p := rotation.Progress{Status: rotation.Status{LookedAt: noon, Version: "v", Credential: "AKIA", IssuedAt: noon, DueAt: noon.Add(90 * rota.Day)}}
		if err := db.Journal().Save(b.Context(), rotation.SaveRequest{Lease: lease, Progress: p}); err != nil {
			b.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	path := dir + "/rota.yaml"
	if err := os.WriteFile(path, []byte(config.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		var out bytes.Buffer
		args := []string{"status", "--config", path, "--data-dir", dir + "/data"}
		if code := Run(b.Context(), args, nil, strings.NewReader(""), &out, &out); code != 0 {
			b.Fatal(out.String())
		}
	}
}
