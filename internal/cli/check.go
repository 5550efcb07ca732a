package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rota"
	"rota/config"
	"rota/engine"
	"rota/provider/memory"
	"rota/store"
)

// checkTimeout bounds all checks of one secret.
const checkTimeout = time.Minute

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check [NAME...]",
		Short: "Ask the real systems whether a rotation would work",
		Long: `Asks the real systems whether a rotation would work: may Rota log in, list and
create credentials, write the store and each target, is there a free place, do
names collide. It prints one line a check, with a hint for each failure, and
changes nothing. Exit code 1 if a check failed.`,
		ValidArgsFunction: a.completeNames,
		RunE:              func(c *cobra.Command, args []string) error { return a.check(c.Context(), args) },
	}
}

func (a *app) check(ctx context.Context, names []string) error {
	file, wanted, err := a.loadAndPick(names)
	if err != nil {
		return err
	}
	own, ownStore, closeStore := a.checkStore(ctx, file)
	defer closeStore()
	wired, err := file.Wire(ctx, config.Environment{OwnStore: ownStore, LookupEnv: a.lookupEnv})
	if err != nil {
		return refused(err)
	}
	defer func() { _ = wired.Close() }()
	s := &session{app: a, file: file, wired: wired}
	list, err := s.choose(wanted)
	if err != nil {
		return err
	}
	findings := own
	for _, w := range slices.Concat(file.Warnings(), wired.Warnings) {
		findings = append(findings, findingDoc{Finding: rota.Finding{
			Warning: true, Check: fmt.Sprintf("%s:%d", w.File, w.Line), Detail: w.Message, Hint: strings.TrimPrefix(w.Hint, "try: "),
		}})
	}
	return a.reportFindings(append(findings, preflight(ctx, list)...))
}

// preflight runs the checks of all secrets, several at once, and gives what
// they found in the secrets' order.
func preflight(ctx context.Context, list []chosen) []findingDoc {
	secrets := working(list)
	found := map[string][]rota.Finding{}
	results := make([][]rota.Finding, len(secrets))
	errs := engine.Each(ctx, engine.Limits{}, secrets, func(ctx context.Context, i int) error {
		ctx, cancel := context.WithTimeout(ctx, checkTimeout)
		defer cancel()
		results[i] = rota.Preflight(ctx, secrets[i])
		return ctx.Err()
	})
	for i, s := range secrets {
		found[s.Name] = results[i]
		if results[i] == nil && errs[i] != nil {
			found[s.Name] = []rota.Finding{{Check: "systems", Detail: errs[i].Error()}}
		}
	}
	var out []findingDoc
	for _, c := range list {
		if c.err != nil {
			message, hint := splitHint(c.err.Error())
			out = append(out, findingDoc{Secret: c.name, Finding: rota.Finding{Check: "configuration", Detail: message, Hint: hint}})
		}
		for _, f := range found[c.name] {
			out = append(out, findingDoc{Secret: c.name, Finding: f})
		}
	}
	return out
}

// checkStore looks at Rota's own store. Where there is none yet, the check
// makes none: an empty one in memory stands in.
func (a *app) checkStore(ctx context.Context, file *config.File) ([]findingDoc, func(string) rota.Store, func()) {
	finding := func(ok bool, check, detail, hint string) findingDoc {
		return findingDoc{Finding: rota.Finding{OK: ok, Check: "own store: " + check, Detail: detail, Hint: hint}}
	}
	standIn := func(string) rota.Store { return memory.NewStore(memory.Options{}) }
	nothing := func() {}
	db, err := a.peekStore(ctx)
	if err != nil {
		message, hint := splitHint(err.Error())
		return []findingDoc{finding(false, "open", message, hint)}, standIn, nothing
	}
	dir, _ := a.dataDir() // peekStore has asked it already
	if db == nil {
		return []findingDoc{finding(true, "open", "there is none yet in "+dir+"; the first command that needs it makes it", "")}, standIn, nothing
	}
	out := []findingDoc{finding(true, "open", dir, "")}
	if chain, err := db.Verify(ctx); err != nil {
		message, hint := splitHint(err.Error())
		out = append(out, finding(false, "audit", message, hint))
	} else {
		out = append(out, finding(true, "audit", fmt.Sprintf("the chain of %d entries is whole", chain.Entries), ""))
	}
	if statuses, err := db.Statuses(ctx); err != nil {
		out = append(out, finding(false, "progress", err.Error(), ""))
	} else if unknown := unknownSecrets(file, statuses); len(unknown) > 0 {
		f := finding(false, "progress", "it remembers what rota.yaml does not name: "+strings.Join(unknown, ", "), "put them back, if they were taken out or renamed by mistake")
		f.Warning = true
		out = append(out, f)
	}
	return out, db.Secret, func() { _ = db.Close() }
}

// unknownSecrets are those that the store remembers and the file does not name.
func unknownSecrets(file *config.File, statuses []store.SecretStatus) []string {
	out := []string{}
	names := file.Names()
	for _, s := range statuses {
		if !slices.Contains(names, s.Name) {
			out = append(out, s.Name)
		}
	}
	return out
}

func (a *app) reportFindings(findings []findingDoc) error {
	doc := checkDoc{Findings: findings}
	for _, f := range findings {
		switch {
		case f.OK:
		case f.Warning:
			doc.Warnings++
		default:
			doc.Failed++
		}
	}
	doc.OK = doc.Failed == 0
	code := exitDone
	if !doc.OK {
		code = exitFailed
	}
	if a.json() {
		if err := a.document(doc); err != nil {
			return err
		}
		return silently(code)
	}
	for _, f := range findings {
		a.reportFinding(f)
	}
	summary := fmt.Sprintf("%s: %d failed, %s", plural(len(findings), "check"), doc.Failed, plural(doc.Warnings, "warning"))
	a.printf("%s", a.paint(a.outStyle, bold, summary))
	return silently(code)
}

func (a *app) reportFinding(f findingDoc) {
	mark, c := a.outStyle.symbol("✓", "ok  "), green
	switch {
	case f.OK:
	case f.Warning:
		mark, c = a.outStyle.symbol("!", "!   "), yellow
	default:
		mark, c = a.outStyle.symbol("✗", "FAIL"), red
	}
	line := a.paint(a.outStyle, c, mark) + " "
	if f.Secret != "" {
		line += f.Secret + ": "
	}
	line += f.Check
	if f.Detail != "" {
		line += ": " + f.Detail
	}
	a.printf("%s", line)
	if f.Hint != "" && !f.OK {
		a.printf("     try: %s", f.Hint)
	}
}
