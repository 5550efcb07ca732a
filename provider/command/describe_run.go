package command

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/rota-dev/rota"
)

// Describe asks a program to describe itself.
func Describe(ctx context.Context, c Config, settings map[string]string) (Description, error) {
	p, err := newProgram(c, settings, "")
	if err != nil {
		return Description{}, err
	}
	const op = "ask it to describe itself"
	a, err := p.exchange(ctx, op, request{Verb: VerbDescribe})
	if err != nil {
		return Description{}, err
	}
	d := a.Description.withDefaults(c.Command)
	if err := d.check(); err != nil {
		return Description{}, p.fail(op, rota.ClassStop, hintProgram, err)
	}
	return d, nil
}

// Send sends a program a bare request, which may be one that the protocol doesn't
// have. The error is nil if the program answers that it has succeeded.
func Send(ctx context.Context, c Config, settings map[string]string, protocol int, verb Verb) error {
	p, err := newProgram(c, settings, "")
	if err != nil {
		return err
	}
	_, err = p.exchange(ctx, fmt.Sprintf("send %s in protocol %d", verb, protocol), request{Protocol: protocol, Verb: verb})
	return err
}

// YAML is the description as rota.yaml has it, in flow style, without what goes
// without saying.
func (d Description) YAML() []string {
	var lines []string
	line := func(key string, value any) {
		text, err := json.Marshal(value)
		if err == nil {
			lines = append(lines, key+": "+string(text))
		}
	}
	line("kind", d.Kind)
	line("fields", d.Fields)
	line("id", d.ID)
	if d.IssuerChooses {
		line("issuer_chooses", true)
	}
	if d.FromCurrent {
		line("from_current", true)
	}
	if d.Limit > 0 {
		line("limit", d.Limit)
	}
	line("test_successes", d.TestSuccesses)
	if d.Settle > 0 {
		line("settle", d.Settle)
	}
	if d.Lifetime > 0 {
		line("lifetime", d.Lifetime)
	}
	if len(d.Verbs) > 0 {
		line("verbs", d.Verbs)
	}
	return lines
}
