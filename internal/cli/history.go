package cli

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"rota"
	"rota/store"
)

func (a *app) historyCommand() *cobra.Command {
	limit := 200
	c := &cobra.Command{
		Use:   "history NAME",
		Short: "What was done to a secret, by whom and how it went",
		Long: `Shows what was done to a secret, by whom and how it went: the audit's entries of
one secret by days, the beginning and the end of an effect on one line.`,
		Args:              argCount(1, 1),
		ValidArgsFunction: a.completeNames,
		RunE:              func(c *cobra.Command, args []string) error { return a.history(c.Context(), args[0], limit) },
	}
	c.Flags().IntVar(&limit, "limit", limit, "show at most so many entries, the newest")
	return c
}

func (a *app) history(ctx context.Context, name string, limit int) error {
	records, err := a.entries(ctx, store.AuditQuery{Secret: name, Limit: limit})
	if err != nil {
		return err
	}
	if len(records) == 0 {
		// Secrets that were taken out of the file still have a history.
		file, err := a.loadConfig()
		if err != nil {
			return err
		}
		if _, err := pick(file, []string{name}); err != nil {
			return err
		}
	}
	if a.json() {
		return a.document(entriesDoc(records))
	}
	a.printHistory(effects(records))
	return nil
}

// entries reads the newest entries of the audit, in the chain's order.
func (a *app) entries(ctx context.Context, q store.AuditQuery) ([]store.AuditRecord, error) {
	if q.Limit < 1 {
		return nil, usage("--limit %d: must be at least 1", q.Limit)
	}
	db, err := a.peekStore(ctx)
	if err != nil || db == nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	q.Newest = true
	records, err := db.Audit(ctx, q)
	slices.Reverse(records)
	return records, err
}

func entriesDoc(records []store.AuditRecord) historyDoc {
	doc := historyDoc{Entries: []entryDoc{}}
	for _, r := range records {
		doc.Entries = append(doc.Entries, entryDoc{Seq: r.Seq, Entry: r.Entry, Hash: r.Hash})
	}
	return doc
}

// effect is an act with its end, if it has one.
type effect struct {
	rota.Entry // with the end's outcome and credential
	failure    string
}

// effects puts the beginning and the end of each act together.
func effects(records []store.AuditRecord) []effect {
	var out []effect
	for _, r := range records {
		e := r.Entry
		if e.Outcome == rota.Begun {
			out = append(out, effect{Entry: e})
			continue
		}
		begun := -1
		for i := len(out) - 1; i >= 0 && begun < 0; i-- {
			o := out[i]
			if o.Outcome == rota.Begun && o.Step == e.Step && o.Object == e.Object && o.Version == e.Version {
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
		if e.Outcome == rota.Erred {
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

var outcomeColors = map[rota.Outcome]color{rota.Succeeded: green, rota.Erred: red, rota.Begun: yellow}

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
