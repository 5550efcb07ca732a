package vault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// KV is a target: an entry of a KV engine.
type KV struct {
	Target     string // the target's name in rota.yaml
	Connection *Connection
	Entry      Entry
	// Fields are the entry's keys and what each gets. Defaults to the credential's
	// own fields.
	Fields rota.FieldMap
	// Whole says that the entry is Rota's alone: keys that aren't its own are removed.
	// Without it they stay, which takes a KV engine of version 2.
	Whole bool

	mu sync.Mutex // held while writing
}

var (
	_ rota.Target      = (*KV)(nil)
	_ rota.Preflighter = (*KV)(nil)
)

// Name implements [rota.Target].
func (t *KV) Name() string { return t.Target }

// maxRaces is how often another writer may come in between.
const maxRaces = 8

// Deliver implements [rota.Target]. On KV v2 every write says which version it was
// made from, so that what somebody else writes meanwhile is never lost: the entry is
// read again and the keys are put into what it holds now.
func (t *KV) Deliver(ctx context.Context, r rota.DeliverRequest) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	texts, err := t.Fields.Render(r.Credential)
	if err != nil {
		return t.Connection.refuse("write "+t.Entry.String(), "correct the target's fields", err)
	}
	if err := t.Connection.checkEngine(ctx, t.Entry); err != nil {
		return err
	}
	for range maxRaces {
		if err = t.deliver(ctx, texts, r.Credential); !errors.Is(err, rota.ErrConflict) {
			return err
		}
	}
	return err
}

func (t *KV) deliver(ctx context.Context, texts map[string]string, c rota.Credential) error {
	was, err := t.Connection.read(ctx, t.Entry)
	if err != nil {
		return err
	}
	now, err := was.values.over(texts, t.Whole)
	if err != nil || was.values.equal(now) {
		return err
	}
	return t.Connection.write(ctx, t.Entry, was, now, c)
}

// Preflight implements [rota.Preflighter].
func (t *KV) Preflight(ctx context.Context) []rota.Finding {
	findings, ok := t.Connection.preflight(ctx, t.needs())
	if !ok {
		return findings
	}
	check := "write " + t.Entry.String()
	if err := t.Connection.checkEngine(ctx, t.Entry); err != nil {
		return append(findings, provider.Found(check, "", err))
	}
	was, err := t.Connection.read(ctx, t.Entry)
	if err != nil {
		return append(findings, provider.Found(check, "", err))
	}
	names := map[string]string{}
	for _, name := range t.Fields.Names() {
		names[name] = ""
	}
	others := was.values.strangers(names)
	switch {
	case len(names) == 0 || len(others) == 0:
		return append(findings, provider.Found(check, "", nil))
	case t.Whole:
		return append(findings, provider.Warned(check, "it holds keys that the next delivery removes: "+strings.Join(others, ", "), "whole: false, if they belong to others; or remove them"))
	}
	return append(findings, provider.Found(check, fmt.Sprintf("it keeps %d keys of others", len(others)), nil))
}

// needs are the permissions for the entry.
func (t *KV) needs() []need {
	return []need{{path: t.Entry.data(), capabilities: []string{"create", "read", "update"}, why: "sees what the entry holds, and writes the credential into it"}}
}
