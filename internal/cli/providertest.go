package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/provider/command"
	"github.com/rota-dev/rota/provider/providertest"
)

func (a *app) providerCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "provider", Short: "Work on a provider of your own",
		Args: noArgs, Annotations: inPlace(placeNowhere),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	var o providerTestOptions
	test := &cobra.Command{
		Use:   "test [flags] PROGRAM [ARGUMENT...]",
		Short: "Test a program that issues credentials",
		Long: `Runs a program that issues credentials through the suite that every issuer of Rota
passes: credentials are created, set, tested, deactivated and deleted, calls fail
before they take effect, their answers get lost, and they're made twice. Then it
prints the program's part of rota.yaml.

The credentials are real ones. Name an account in the settings that nobody uses and
that has no credentials: what the suite creates it deletes again.

The protocol is described in docs/providers/command.md.`,
		Args: argCount(1, -1), Annotations: inPlace(placeNowhere),
		RunE: func(c *cobra.Command, args []string) error { return a.testProgram(c.Context(), args, o) },
	}
	test.Flags().SetInterspersed(false) // what follows the program is the program's
	test.Flags().StringVar(&o.settings, "settings", "", "the `file` with the settings, a JSON object of texts, that each request hands to the program")
	test.Flags().DurationVar(&o.timeout, "timeout", time.Minute, "how long a request may take")
	test.Flags().DurationVar(&o.patience, "patience", 10*time.Second, "how long a change may take to show at the system")
	c.AddCommand(test)
	return c
}

type providerTestOptions struct {
	settings string
	timeout  time.Duration
	patience time.Duration
}

// bench is one program under test.
type bench struct {
	config   command.Config
	settings map[string]string
	patience time.Duration
	about    command.Description

	mu      sync.Mutex
	current *trial          // the case that's running
	made    map[string]bool // ids of what the case created
	faults  map[string]providertest.FaultKind
}

// caseDoc is one case with --output json.
type caseDoc struct {
	Case     string   `json:"case"`
	Passed   bool     `json:"passed"`
	Seconds  float64  `json:"seconds"`
	Messages []string `json:"messages,omitempty"`
}

type testDoc struct {
	Passed   int                 `json:"passed"`
	Failed   int                 `json:"failed"`
	Cases    []caseDoc           `json:"cases"`
	LeftOut  []string            `json:"left_out"`
	Describe command.Description `json:"describe"`
}

func (a *app) testProgram(ctx context.Context, args []string, o providerTestOptions) error {
	b := &bench{patience: o.patience, made: map[string]bool{}, faults: map[string]providertest.FaultKind{}}
	if err := b.configure(args, o); err != nil {
		return refused(err)
	}
	var err error
	if b.about, err = command.Describe(ctx, b.config, b.settings); err != nil {
		return err
	}
	issuer, err := b.issuer(false)
	if err != nil {
		return err
	}
	if err := b.empty(ctx, issuer); err != nil {
		return err
	}
	question := "Create and delete credentials with " + args[0] + "?"
	if b.about.Limit == 1 {
		question = "Replace the only credential of the account that " + args[0] + " reaches?"
	}
	if err := a.confirm(ctx, "", question); err != nil {
		return err
	}
	doc := testDoc{Cases: []caseDoc{}, LeftOut: []string{}, Describe: b.about}
	root := &trial{ctx: ctx, begun: b.begin, ended: func(t *trial) { b.end(ctx, t) }, log: func(text string) {
		doc.LeftOut = append(doc.LeftOut, strings.TrimPrefix(text, "does not apply: "))
	}}
	run := func(name string, f func(providertest.T)) {
		passed := root.Run(name, f)
		t := b.current
		if t == nil || t.name != name {
			return // interrupted before it began
		}
		doc.Cases = append(doc.Cases, caseDoc{name, passed, t.took.Seconds(), t.messages})
		if passed {
			doc.Passed++
		} else {
			doc.Failed++
		}
		if !a.json() {
			a.printCase(t, passed)
		}
	}
	run("what it doesn't know, it refuses", b.refusesUnknown)
	providertest.RunIssuer(runner{root, run}, b.fixture)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if a.json() {
		if err := a.document(doc); err != nil {
			return err
		}
	} else {
		a.printTested(b, doc)
	}
	if doc.Failed > 0 {
		return &exitError{code: exitFailed}
	}
	return nil
}

// runner is the suite's T: its cases are printed as they end.
type runner struct {
	*trial
	run func(name string, f func(providertest.T))
}

func (r runner) Run(name string, f func(providertest.T)) bool {
	if r.ctx.Err() == nil {
		r.run(name, f)
	}
	return true
}

func (a *app) printCase(t *trial, passed bool) {
	result := a.paint(a.outStyle, green, "PASS")
	if !passed {
		result = a.paint(a.outStyle, red, "FAIL")
	}
	a.printf("%s  %s (%.2fs)", result, t.name, t.took.Seconds())
	for _, message := range t.messages {
		for line := range strings.Lines(message) {
			a.printf("      %s", strings.TrimRight(line, "\n"))
		}
	}
}

func (a *app) printTested(b *bench, doc testDoc) {
	for _, name := range doc.LeftOut {
		a.printf("%s  %s", a.paint(a.outStyle, faint, "  - "), name+" (does not apply)")
	}
	a.printf("")
	a.printf("%d passed, %d failed, %d don't apply", doc.Passed, doc.Failed, len(doc.LeftOut))
	if doc.Failed > 0 {
		return
	}
	a.printf("")
	a.printf("In rota.yaml:")
	a.printf("    issuer:")
	a.printf("      command:")
	quoted, err := json.Marshal(b.config.Command)
	if err == nil {
		a.printf("        run: %s", string(quoted))
	}
	for _, line := range b.about.YAML() {
		a.printf("        %s", line)
	}
}

// configure reads the arguments and the settings.
func (b *bench) configure(args []string, o providerTestOptions) error {
	if strings.ContainsRune(args[0], filepath.Separator) {
		path, err := filepath.Abs(args[0])
		if err != nil {
			return err
		}
		args = append([]string{path}, args[1:]...)
	}
	b.config = command.Config{Command: args, Timeout: o.timeout}
	b.settings = map[string]string{}
	if o.settings == "" {
		return nil
	}
	text, err := os.ReadFile(o.settings)
	if err != nil {
		return fmt.Errorf("--settings: %w", err)
	}
	if json.Unmarshal(text, &b.settings) != nil {
		return rota.WithRemedies(fmt.Errorf("--settings: %s isn't a JSON object of texts", o.settings), rota.Outside(`write it as {"url": "https://…", "token": "…"}`))
	}
	for _, value := range b.settings {
		b.config.Hidden = append(b.config.Hidden, value)
	}
	return nil
}

// issuer is the program as an issuer, without faults if it's for tidying up.
func (b *bench) issuer(faulty bool) (rota.Issuer, error) {
	c := command.IssuerConfig{Config: b.config, Settings: b.settings, Description: b.about}
	if faulty {
		c.Inspect, c.Around = b.inspect, b.around
	}
	return command.NewIssuer(c)
}

// empty refuses an account that somebody may use.
func (b *bench) empty(ctx context.Context, issuer rota.Issuer) error {
	lister, ok := issuer.(rota.Lister)
	if !ok {
		return nil
	}
	list, err := lister.List(ctx)
	if err != nil || len(list) == 0 || b.about.Limit == 1 && len(list) == 1 {
		return err
	}
	return rota.WithRemedies(fmt.Errorf("%s: the account has credentials, such as %s: nothing was done", b.config.Command[0], list[0].ID),
		rota.Outside("name an account in the settings that has none, and that nobody uses"))
}

func (b *bench) begin(t *trial) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.current = t
	clear(b.made)
	clear(b.faults)
}

// end deletes what a case created.
func (b *bench) end(ctx context.Context, t *trial) {
	if err := b.tidy(context.WithoutCancel(ctx)); err != nil {
		t.fail("deleting what the case had created: " + hint.Text(err))
	}
}

func (b *bench) tidy(ctx context.Context) error {
	issuer, err := b.issuer(false)
	if err != nil || b.about.Limit == 1 || b.about.Lifetime > 0 {
		return err
	}
	var ids []string
	if lister, ok := issuer.(rota.Lister); ok {
		list, err := lister.List(ctx)
		if err != nil {
			return err
		}
		for _, x := range list {
			ids = append(ids, x.ID)
		}
	} else {
		b.mu.Lock()
		for id := range b.made {
			ids = append(ids, id)
		}
		b.mu.Unlock()
	}
	var errs []error
	for _, id := range ids {
		if d, ok := issuer.(rota.Deactivator); ok {
			if err := d.Deactivate(ctx, rota.RetireRequest{CredentialID: id}); err != nil && !errors.Is(err, rota.ErrNotFound) {
				errs = append(errs, err)
			}
		}
		errs = append(errs, issuer.Delete(ctx, rota.RetireRequest{CredentialID: id}))
	}
	return errors.Join(errs...)
}

func (b *bench) fixture(t providertest.T) providertest.IssuerFixture {
	issuer, err := b.issuer(true)
	if err != nil {
		t.Fatal(err)
	}
	return providertest.IssuerFixture{
		Issuer: issuer, Inject: b.inject, Polling: providertest.Polling{Timeout: b.patience}, UnknownID: "rota-never-issued", PublicFields: []string{rota.FieldExpiration},
	}
}

// refusesUnknown sends requests that the protocol doesn't have.
func (b *bench) refusesUnknown(t providertest.T) {
	if command.Send(t.Context(), b.config, b.settings, command.Protocol, "no_such_verb") == nil {
		t.Error("it answers a verb that the protocol doesn't have as if it had succeeded")
	}
	if command.Send(t.Context(), b.config, b.settings, command.Protocol+1, command.VerbDescribe) == nil {
		t.Error("it takes a request in a protocol that it can't know")
	}
}

// inspect fails a case whose program shows values.
func (b *bench) inspect(r command.Run) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range r.Credentials {
		if id := c.Field(b.about.ID); id != "" {
			b.made[id] = true
		}
		for _, name := range c.Names() {
			if value := c.Field(name); name != b.about.ID && name != rota.FieldExpiration && len(value) >= 4 && strings.Contains(r.Stderr, value) {
				b.current.fail(fmt.Sprintf("%s: it writes the value of field %s to its standard error", r.Verb, name))
			}
		}
	}
}

// inject makes the next run of a verb fail.
func (b *bench) inject(op string, kind providertest.FaultKind) bool {
	verb := command.Verb(op)
	switch verb {
	case command.VerbSet:
		if b.about.IssuerChooses {
			return false
		}
	case command.VerbDelete:
		if b.about.Lifetime > 0 {
			return false
		}
	case command.VerbList, command.VerbDeactivate, command.VerbReactivate:
		if !b.about.Has(verb) {
			return false
		}
	}
	if kind == providertest.Hang {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults[op] = kind
	return true
}

func (b *bench) around(verb command.Verb, run func() error) error {
	b.mu.Lock()
	kind := b.faults[string(verb)]
	delete(b.faults, string(verb))
	b.mu.Unlock()
	fault := &rota.Error{System: b.config.Command[0], Op: string(verb), Class: rota.ClassWait, Err: errors.New("a fault of the suite")}
	switch kind {
	case providertest.FailBefore:
		return fault
	case providertest.LoseReply:
		if err := run(); err != nil {
			return err
		}
		return fault
	case providertest.Repeat:
		if err := run(); err != nil {
			return err
		}
	}
	return run()
}
