package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/hint"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/internal/service"
	"github.com/rota-dev/rota/rotation"
)

func (a *app) historyCommand() *cobra.Command {
	limit := 200
	var s selection
	c := &cobra.Command{
		Use:   "history NAME...",
		Short: "Show what was done to a secret, by whom and how it went",
		Long: `Shows what was done to a secret, by whom, and how it went: its audit entries
grouped by day, with the start and end of each effect on one line.`,
		RunE: func(c *cobra.Command, _ []string) error { return a.histories(c.Context(), s, limit) },
	}
	a.selects(c, &s, true)
	c.Flags().IntVar(&limit, "limit", limit, "show at most this many entries of each secret, the newest")
	return c
}

// histories shows the history of each selected secret; as JSON, all entries in
// one document, in the order of the audit.
func (a *app) histories(ctx context.Context, s selection, limit int) error {
	names := s.names
	if !s.named() {
		if err := a.withOperations(ctx, toLook, func(o service.Operations) (err error) {
			names, err = s.resolve(ctx, o)
			return err
		}); err != nil {
			return err
		}
	}
	if len(names) == 1 {
		return a.history(ctx, names[0], limit)
	}
	if a.json() {
		doc, err := a.entriesOf(ctx, toLook, names, limit)
		if err != nil {
			return err
		}
		return a.document(doc)
	}
	for i, name := range names {
		if i > 0 {
			a.printf("")
		}
		a.printf("%s", a.paint(a.outStyle, bold, name))
		if err := a.history(ctx, name, limit); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) history(ctx context.Context, name string, limit int) error {
	r := api.HistoryRequest{Secret: name, Limit: limit}
	doc, err := a.entries(ctx, toRead, r)
	if err == nil && len(doc.Entries) == 0 && a.serverURL() == "" {
		doc, err = a.entries(ctx, toAsk, r) // the secret's store may know more
	}
	if err != nil {
		return err
	}
	if a.json() {
		return a.document(doc)
	}
	if len(doc.Entries) == 0 {
		return a.printNoHistory(name, doc)
	}
	a.printHistory(effects(doc.Entries))
	return nil
}

// printNoHistory handles a secret the audit knows nothing about: Rota's store
// may be new, or lost while the secret's own store lives on. (Secrets removed
// from the file still have a history.)
func (a *app) printNoHistory(name string, doc api.HistoryDoc) error {
	place := "at the server"
	if a.serverURL() == "" {
		dir, err := a.dataDir()
		if err != nil {
			return err
		}
		place = "in this data folder (" + dir + ")"
		if a.databaseURL() != "" {
			place = "in this database"
		}
	}
	said := fmt.Sprintf("no history of %s %s; ", name, place)
	switch {
	case doc.VersionsError != "":
		a.printf("%sand its store can't be asked for versions: %s", said, hint.Add(doc.VersionsError, doc.Remedies))
	case len(doc.Versions) == 0:
		a.printf("%s", hint.Add(said+"its store has no versions either", rota.Command("rota plan "+name)))
	default:
		a.printf("%sversions in the store:", said)
		var rows [][]cell
		for _, v := range doc.Versions {
			rows = append(rows, cells(v.Version, labelList(v.Labels), when(v.CreatedAt, a.Now()), v.Credential))
		}
		a.table([]string{"VERSION", "LABELS", "CREATED", "CREDENTIAL"}, rows)
	}
	return nil
}

// effect is an action with its end, if there is one.
type effect struct {
	rotation.Entry // with the end's outcome and credential
	failure        string
}

// effects pairs the beginning and the end of each action.
func effects(records []api.EntryDoc) []effect {
	var out []effect
	for _, r := range records {
		e := r.Entry
		if e.Outcome == rotation.OutcomeBegun {
			out = append(out, effect{Entry: e})
			continue
		}
		begun := -1
		for i := len(out) - 1; i >= 0 && begun < 0; i-- {
			o := out[i]
			if o.Outcome == rotation.OutcomeBegun && o.Step == e.Step && o.Object == e.Object && o.Version == e.Version {
				begun = i
			}
		}
		ended := effect{Entry: e}
		if begun >= 0 {
			ended = out[begun]
			ended.Outcome, ended.Credential = e.Outcome, e.Credential
		} else {
			ended.Detail = ""
		}
		if e.Outcome == rotation.OutcomeFailed || e.Outcome == rotation.OutcomeInterrupted {
			ended.failure = e.Detail
		} else if begun < 0 {
			ended.Detail = e.Detail
		}
		if begun >= 0 {
			out[begun] = ended
		} else {
			out = append(out, ended)
		}
	}
	return out
}

var outcomeColors = map[rotation.Outcome]color{rotation.OutcomeSucceeded: green, rotation.OutcomeFailed: red, rotation.OutcomeDenied: red, rotation.OutcomeBegun: yellow, rotation.OutcomeInterrupted: yellow}

func (a *app) printHistory(list []effect) {
	for len(list) > 0 {
		day := list[0].At.Local().Format(time.DateOnly)
		n := 1
		for n < len(list) && list[n].At.Local().Format(time.DateOnly) == day {
			n++
		}
		a.printf("%s", a.paint(a.outStyle, bold, day+" ("+relative(list[0].At, a.Now())+")"))
		var rows [][]cell
		for _, e := range list[:n] {
			detail := e.Detail
			if e.failure != "" {
				detail = e.failure
			}
			row := cells(e.At.Local().Format(time.TimeOnly), e.Step, e.Object, e.Credential, string(e.Outcome), e.Actor, detail)
			row[4].color = outcomeColors[e.Outcome]
			rows = append(rows, row)
		}
		a.table([]string{"TIME", "STEP", "AT", "CREDENTIAL", "OUTCOME", "BY", "WHY"}, rows)
		if list = list[n:]; len(list) > 0 {
			a.printf("")
		}
	}
}
