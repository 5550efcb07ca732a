package command

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
)

// speaking is the config of an issuer that is a shell script, with DIR for its files.
func speaking(t *testing.T, script string) IssuerConfig {
	t.Helper()
	return IssuerConfig{
		Config:   shell(t, script),
		Settings: map[string]string{"account": "shop"},
		Description: Description{
			Kind: "Parcel token", Fields: []string{"id", "token"}, IssuerChooses: true, Limit: 2,
			Verbs: []Verb{VerbList, VerbLastUsed, VerbDeactivate, VerbReactivate, VerbInForce},
		},
	}
}

func issuing(t *testing.T, c IssuerConfig) rota.Issuer {
	t.Helper()
	i, err := NewIssuer(c)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

const (
	token   = "pcl_example_2"
	version = "rota-6f0c8a52-7d2b-4e0f-9a55-0d6c6f9a1b3e"
)

var held = rota.NewCredential(map[string]string{"id": "t2", "token": token})

func TestAProgramThatBreaksTheProtocolIsAnError(t *testing.T) {
	const good = `{"protocol": 1, "verb": "test"}`
	for name, c := range map[string]struct {
		script string
		class  rota.Class
		says   string
	}{
		"nothing":                     {`cat >/dev/null`, rota.ClassStop, "no answer"},
		"garbage":                     {`cat >/dev/null; echo pcl_example_2 is fine`, rota.ClassStop, "isn't JSON"},
		"its own input":               {`cat`, rota.ClassStop, "a field settings"},
		"two objects":                 {`cat >/dev/null; echo '` + good + good + `'`, rota.ClassStop, "more than one JSON object"},
		"an object that breaks off":   {`echo '{"protocol": 1, "verb": "test"'`, rota.ClassStop, "breaks off"},
		"an answer without reading":   {`echo '{"protocol": 1, "verb": "set"}'`, rota.ClassStop, "another verb"},
		"another protocol":            {`echo '{"protocol": 2, "verb": "test"}'`, rota.ClassStop, "protocol 2"},
		"what isn't for the verb":     {`echo '{"protocol": 1, "verb": "test", "use": {"evidence": "recorded"}}'`, rota.ClassStop, "with use"},
		"a number for a text":         {`echo '{"protocol": 1, "verb": "test", "credential": {"id": 7}}'`, rota.ClassStop, "credential"},
		"an error without a message":  {`echo '{"protocol": 1, "verb": "test", "error": {"class": "stop"}}'`, rota.ClassStop, "without a message"},
		"an unknown class":            {`echo '{"protocol": 1, "verb": "test", "error": {"class": "oops", "message": "x"}}'`, rota.ClassStop, "class that the protocol"},
		"a class of other verbs":      {`echo '{"protocol": 1, "verb": "test", "error": {"class": "limit", "message": "x"}}'`, rota.ClassStop, "isn't for test"},
		"a failure without an answer": {`cat >/dev/null; echo "cannot use pcl_example_2" >&2; exit 3`, rota.ClassWait, "exit status 3, and no answer on its standard output: cannot use"},
		"a success that failed":       {`echo '` + good + `'; exit 1`, rota.ClassWait, "exit status 1"},
		"a signal":                    {`kill -9 $$`, rota.ClassWait, "signal: killed"},
		"too much":                    {`head -c 1100000 /dev/zero | tr '\0' 'x'`, rota.ClassStop, "more than 1048576 bytes"},
		"a value where it's shown":    {`cat >&2; exit 1`, rota.ClassWait, "exit status 1"},
		"a message with a value":      {`echo '{"protocol": 1, "verb": "test", "error": {"class": "wait", "message": "pcl_example_2 is too new"}}'`, rota.ClassWait, "is too new"},
	} {
		t.Run(name, func(t *testing.T) {
			err := issuing(t, speaking(t, c.script)).Test(t.Context(), rota.TestRequest{Credential: held})
			if err == nil || rota.ClassOf(err) != c.class || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("want an error of class %s that says %q, got %s: %v", c.class, c.says, rota.ClassOf(err), err)
			}
			if strings.Contains(err.Error(), token) || errors.Is(err, rota.ErrRefused) {
				t.Errorf("it shows the value, or takes it for refused: %v", err)
			}
			if !strings.Contains(err.Error(), "command sh: log in with credential t2") {
				t.Errorf("it doesn't say what was tried with which system: %v", err)
			}
			if len(rota.RemediesOf(err)) == 0 && name != "a message with a value" {
				t.Errorf("it has no remedy: %v", err)
			}
		})
	}
}

func TestAValueThatNobodyReceivedIsntShown(t *testing.T) {
	for name, script := range map[string]string{
		"garbage":      `echo "token=$T" ; echo "made $T" >&2`,
		"broken off":   `printf '{"protocol": 1, "verb": "create", "credential": {"id": "t2", "token": "%s"' $T; echo "made $T" >&2`,
		"other fields": `printf '{"protocol": 1, "verb": "create", "credential": {"id": "t2", "key": "%s"}}' $T; echo "made $T" >&2`,
		"a bad exit":   `printf '{"protocol": 1, "verb": "create", "credential": {"id": "t2", "token": "%s"}}' $T; echo "made $T" >&2; exit 1`,
	} {
		t.Run(name, func(t *testing.T) {
			c := speaking(t, `case $(cat) in *describe*) cat "$DIR/describe";; *) T=pcl_$((6 * 7))_secret; `+script+`;; esac`)
			describes(t, c)
			_, err := issuing(t, c).Create(t.Context(), rota.CreateRequest{})
			if err == nil || strings.Contains(err.Error(), "pcl_42_secret") {
				t.Errorf("want an error without the value, got %v", err)
			}
		})
	}
}

// describes has the script find its own description in a file.
func describes(t *testing.T, c IssuerConfig) {
	t.Helper()
	about := c.Description
	text, err := json.Marshal(map[string]any{"protocol": 1, "verb": "describe", "description": about})
	if err == nil {
		err = os.WriteFile(filepath.Join(c.Env["DIR"], "describe"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheErrorOfAProgramIsWhatItAnswered(t *testing.T) {
	err := issuing(t, speaking(t, `printf %s '{"protocol": 1, "verb": "test", "error": {"class": "refused", "message": "not yet\nknown", "hint": "wait a little", "retry_after": "90s"}}'; exit 1`)).
		Test(t.Context(), rota.TestRequest{Credential: held})
	e, ok := errors.AsType[*rota.Error](err)
	if !ok || !errors.Is(err, rota.ErrRefused) || e.Class != rota.ClassWait || e.RetryAfter != 90*time.Second {
		t.Fatalf("got %#v", err)
	}
	if want := "command sh: log in with credential t2: credential refused: not yet; known"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	if hint := rota.Hint(rota.RemediesOf(err)); hint != "wait a little" {
		t.Errorf("the hint is %q", hint)
	}
}

func TestAProgramThatDoesntAnswerIsEndedWithItsChildren(t *testing.T) {
	c := speaking(t, `(echo up; exec sleep 600) > "$DIR/alive" & wait`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := living(t, c.Config, cancel)
	err := issuing(t, c).Test(ctx, rota.TestRequest{Credential: held})
	if !errors.Is(err, context.Canceled) || rota.ClassOf(err) != rota.ClassWait {
		t.Errorf("got %v", err)
	}
	ended()

	c = speaking(t, `sleep 600`)
	c.Timeout = 50 * time.Millisecond
	err = issuing(t, c).Test(t.Context(), rota.TestRequest{Credential: held})
	if !errors.Is(err, context.DeadlineExceeded) || rota.Hint(rota.RemediesOf(err)) != hintTimeout {
		t.Errorf("got %v", err)
	}
}

func TestWhatAProgramLeavesRunningIsAnError(t *testing.T) {
	c := speaking(t, `cat >/dev/null; (echo up >&3; exec sleep 600) 3> "$DIR/alive" & echo '{"protocol": 1, "verb": "test"}'`)
	ended := living(t, c.Config, func() {})
	i := issuing(t, c)
	i.(interface{ hurry() }).hurry()
	err := i.Test(t.Context(), rota.TestRequest{Credential: held})
	if err == nil || !strings.Contains(err.Error(), "left something running") {
		t.Errorf("got %v", err)
	}
	ended()
}

// hurry shortens how long the output of what has ended is waited for.
func (i *issuer) hurry() { i.grace = -950 * time.Millisecond }

// living calls up once a script has written to DIR/alive. What it returns waits
// until nobody has that open any more.
func living(t *testing.T, c Config, up func()) (ended func()) {
	t.Helper()
	fifo := filepath.Join(c.Env["DIR"], "alive")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	end := make(chan error, 1)
	go func() {
		f, err := os.Open(fifo)
		if err == nil {
			_, err = f.Read(make([]byte, 3))
			up()
		}
		if err == nil {
			_, err = io.ReadAll(f)
		}
		end <- err
	}()
	return func() {
		t.Helper()
		select {
		case err := <-end:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Error("a child lives on")
		}
	}
}

func TestNoValueIsInArgumentsOrTheEnvironment(t *testing.T) {
	t.Setenv("ROTA_TEST_LEAK", "from Rota's own environment")
	c := speaking(t, `cat > "$DIR/request"; env > "$DIR/env"; tr '\0' ' ' < /proc/$$/cmdline > "$DIR/args" || ps -o args= -p $$ > "$DIR/args"; echo '{"protocol": 1, "verb": "test"}'`)
	c.Settings["login"] = "a-login-of-its-own"
	if err := issuing(t, c).Test(t.Context(), rota.TestRequest{Credential: held}); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"env", "args"} {
		text, err := os.ReadFile(filepath.Join(c.Env["DIR"], file))
		if err != nil {
			t.Fatal(err)
		}
		for _, value := range []string{token, "a-login-of-its-own", "from Rota's own environment"} {
			if strings.Contains(string(text), value) {
				t.Errorf("%s holds %q", file, value)
			}
		}
	}
	request, err := os.ReadFile(filepath.Join(c.Env["DIR"], "request"))
	if err != nil || !strings.Contains(string(request), token) || !strings.Contains(string(request), "a-login-of-its-own") {
		t.Errorf("the request is %q, %v", request, err)
	}
}

func TestAProgramThatOthersCanReplaceIsntRun(t *testing.T) {
	for name, open := range map[string]func(dir, program string) error{
		"the program": func(_, program string) error { return os.Chmod(program, 0o775) },
		"its folder":  func(dir, _ string) error { return os.Chmod(dir, 0o757) },
	} {
		for _, as := range []string{"program", "script"} {
			t.Run(name+" as "+as, func(t *testing.T) {
				dir := t.TempDir()
				path := filepath.Join(dir, "issuer")
				if err := os.Chmod(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte("#!/bin/sh\ntouch "+dir+"/ran\necho '{\"protocol\": 1, \"verb\": \"test\"}'\n"), 0o755); err != nil {
					t.Fatal(err)
				}
				c := speaking(t, "")
				c.Command = []string{path}
				if as == "script" {
					c.Command = []string{"sh", path}
				}
				if err := issuing(t, c).Test(t.Context(), rota.TestRequest{Credential: held}); err != nil {
					t.Fatalf("one that's nobody else's to change: %v", err)
				}
				if err := errors.Join(os.Remove(filepath.Join(dir, "ran")), open(dir, path)); err != nil {
					t.Fatal(err)
				}
				err := issuing(t, c).Test(t.Context(), rota.TestRequest{Credential: held})
				if err == nil || rota.ClassOf(err) != rota.ClassStop || !strings.Contains(rota.Hint(rota.RemediesOf(err)), "chmod go-w "+dir) {
					t.Errorf("got %v (%s)", err, rota.Hint(rota.RemediesOf(err)))
				}
				target, err := NewTarget(TargetConfig{Config: c.Config})
				if err != nil {
					t.Fatal(err)
				}
				if f := target.(rota.Preflighter).Preflight(t.Context())[0]; f.OK || len(f.Remedies) == 0 {
					t.Errorf("preflight found %+v", f)
				}
				if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
					t.Error("it ran")
				}
			})
		}
	}
}

func TestNothingIsCreatedByAProgramThatWorksInAnotherWay(t *testing.T) {
	c := speaking(t, `case $(cat) in *describe*) cat "$DIR/describe";; *) touch "$DIR/created";; esac`)
	other := c
	other.Limit = 3
	describes(t, other)
	i := issuing(t, c)
	_, err := i.Create(t.Context(), rota.CreateRequest{})
	if err == nil || rota.ClassOf(err) != rota.ClassStop || !strings.Contains(err.Error(), "another limit than rota.yaml") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(c.Env["DIR"], "created")); err == nil {
		t.Error("it was asked to create one")
	}
	findings := i.(rota.Preflighter).Preflight(t.Context())
	if last := findings[len(findings)-1]; last.OK || len(last.Remedies) == 0 {
		t.Errorf("preflight found %+v", last)
	}
}

func TestADescriptionThatContradictsItselfIsRefused(t *testing.T) {
	good := speaking(t, "").Description
	for name, c := range map[string]struct {
		change func(d *Description)
		key    string
	}{
		"without its id":                 {func(d *Description) { d.ID = "name" }, "fields"},
		"nothing secret":                 {func(d *Description) { d.Fields = []string{"id"} }, "fields"},
		"a field twice":                  {func(d *Description) { d.Fields = append(d.Fields, "id") }, "fields"},
		"expiry without an end":          {func(d *Description) { d.Lifetime = Span(time.Hour) }, "lifetime"},
		"off and never on":               {func(d *Description) { d.Verbs = []Verb{VerbList, VerbDeactivate} }, "verbs"},
		"off, and nothing says so":       {func(d *Description) { d.IssuerChooses, d.Verbs = false, []Verb{VerbDeactivate, VerbReactivate} }, "verbs"},
		"a lost answer that nobody sees": {func(d *Description) { d.Verbs = nil }, "verbs"},
		"a verb that isn't optional":     {func(d *Description) { d.Verbs = []Verb{VerbList, VerbCreate} }, "verbs"},
		"one, chosen by the issuer":      {func(d *Description) { d.Limit = 1 }, "limit"},
	} {
		t.Run(name, func(t *testing.T) {
			d := good
			d.Fields, d.Verbs = slices.Clone(d.Fields), slices.Clone(d.Verbs)
			c.change(&d)
			_, err := NewIssuer(IssuerConfig{Config: Config{Command: []string{"true"}}, Description: d})
			if err == nil || rota.RemediesOf(err)[0].Key != c.key {
				t.Errorf("want an error about %s, got %v", c.key, err)
			}
		})
	}
}

// pairs are the exchanges of the document, each under its verb.
func pairs(t *testing.T) map[Verb][2]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/providers/command.md")
	if err != nil {
		t.Fatal(err)
	}
	found := map[Verb][2]string{}
	for _, m := range regexp.MustCompile("(?m)^\\*\\*([a-z_]+)\\*\\*\n\n```json\n(.*)\n```\n\n```json\n(.*)\n```$").FindAllStringSubmatch(string(text), -1) {
		found[Verb(m[1])] = [2]string{m[2], m[3]}
	}
	return found
}

// Each exchange of the document is what Rota sends, and what it takes.
func TestTheExchangesOfTheDocument(t *testing.T) {
	found := pairs(t)
	described := found[VerbDescribe][1]
	var a answer
	if err := json.Unmarshal([]byte(described), &a); err != nil {
		t.Fatal(err)
	}
	ctx, retire := t.Context(), rota.RetireRequest{CredentialID: "t1"}
	for verb, call := range map[Verb]func(i rota.Issuer, c Config) error{
		VerbDescribe: func(i rota.Issuer, _ Config) error {
			if findings := i.(rota.Preflighter).Preflight(ctx); !findings[len(findings)-1].OK {
				return errors.New(findings[len(findings)-1].Detail)
			}
			return nil
		},
		VerbCreate: func(i rota.Issuer, _ Config) error {
			c, err := i.Create(ctx, rota.CreateRequest{Version: version, Taken: []string{"t1"}})
			if err == nil && !c.Equal(held) {
				err = errors.New("another credential: " + c.String())
			}
			return err
		},
		VerbSet: func(_ rota.Issuer, c Config) error {
			i := issuing(t, IssuerConfig{Config: c, Settings: map[string]string{"account": "shop"}, Description: Description{Fields: []string{"id", "token"}, Limit: 1}})
			return i.Set(ctx, rota.SetRequest{Credential: rota.NewCredential(map[string]string{"id": "shop", "token": "example-password"})})
		},
		VerbTest: func(i rota.Issuer, _ Config) error { return i.Test(ctx, rota.TestRequest{Credential: held}) },
		VerbList: func(i rota.Issuer, _ Config) error {
			list, err := i.(rota.Lister).List(ctx)
			want := []rota.Issued{{ID: "t1", CreatedAt: time.Date(2030, 1, 1, 8, 0, 0, 0, time.UTC)}, {ID: "t2", Active: true, Mark: version}}
			if diff := cmp.Diff(want, list); err == nil && diff != "" {
				err = errors.New(diff)
			}
			return err
		},
		VerbLastUsed: func(i rota.Issuer, _ Config) error {
			use, err := i.(rota.UseReporter).LastUsed(ctx, "t1")
			want := rota.Use{Evidence: rota.EvidenceRecorded, At: time.Date(2030, 1, 30, 17, 21, 8, 0, time.UTC), Detail: "upload from 192.0.2.7"}
			if diff := cmp.Diff(want, use); err == nil && diff != "" {
				err = errors.New(diff)
			}
			return err
		},
		VerbDeactivate: func(i rota.Issuer, _ Config) error { return i.(rota.Deactivator).Deactivate(ctx, retire) },
		VerbReactivate: func(i rota.Issuer, _ Config) error { return i.(rota.Deactivator).Reactivate(ctx, retire) },
		VerbInForce: func(i rota.Issuer, _ Config) error {
			inForce, known, err := i.(rota.Teller).InForce(ctx, held)
			if err == nil && (!inForce || !known) {
				err = errors.New("not in force")
			}
			return err
		},
		VerbDelete: func(i rota.Issuer, _ Config) error { return i.Delete(ctx, retire) },
		VerbDeliver: func(_ rota.Issuer, c Config) error {
			fields, err := rota.ParseFieldMap(map[string]string{"PARCEL_TOKEN": "token"}, nil)
			if err != nil {
				return err
			}
			target, err := NewTarget(TargetConfig{Config: c, Settings: map[string]string{"account": "shop"}, Fields: fields})
			if err != nil {
				return err
			}
			return target.Deliver(ctx, rota.DeliverRequest{Secret: "prod/parcel-token", Version: version, Credential: held})
		},
		VerbReload: func(_ rota.Issuer, c Config) error {
			r, err := NewProtocolReloader(ReloaderConfig{Config: c, Settings: map[string]string{"account": "shop"}})
			if err != nil {
				return err
			}
			return r.Reload(ctx, rota.ReloadRequest{Secret: "prod/parcel-token", Version: version})
		},
	} {
		t.Run(string(verb), func(t *testing.T) {
			pair, ok := found[verb]
			if !ok {
				t.Fatal("the document has no exchange")
			}
			c := speaking(t, `cat > "$DIR/sent"; if grep -q '"describe"' "$DIR/sent"; then cat "$DIR/describe"; else cat "$DIR/answer"; fi`)
			c.Description = *a.Description
			for file, text := range map[string]string{"describe": described, "answer": pair[1]} {
				if err := os.WriteFile(filepath.Join(c.Env["DIR"], file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := call(issuing(t, c), c.Config); err != nil {
				t.Errorf("the answer: %v", err)
			}
			sent, err := os.ReadFile(filepath.Join(c.Env["DIR"], "sent"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(parsed(t, pair[0]), parsed(t, string(sent))); diff != "" {
				t.Errorf("the document's request isn't what's sent:\n%s", diff)
			}
			delete(found, verb)
		})
	}
	for verb := range found {
		t.Errorf("the document has an exchange for %s, which doesn't exist", verb)
	}
}

func parsed(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}
