package service

import (
	"context"
	"slices"

	"github.com/rota-dev/rota/api"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/rotation"
)

// planHorizon limits how far to look for just the next step.
const planHorizon = 20 * 365 * rota.Day

// Plan looks at the systems and plans.
func (l *Local) Plan(ctx context.Context, r api.PlanRequest) (api.PlanDoc, error) {
	list, err := l.choose(ctx, access.List, rotation.OpPlan, r.Names)
	if err != nil {
		return api.PlanDoc{}, err
	}
	doc := api.PlanDoc{From: l.now(), Until: r.Until, Secrets: make([]api.PlanSecretDoc, len(list))}
	errs := readEach(ctx, list, func(ctx context.Context, i int, s *rotation.Secret) error {
		state, decision, err := l.rotator().Observe(ctx, s)
		if err != nil {
			return err
		}
		for _, p := range stepsAhead(state, s.Policy, decision, doc) {
			step := plannedDoc(p)
			if !doc.Until.IsZero() && step.At.After(doc.Until) {
				doc.Secrets[i].Next = &step
				continue
			}
			doc.Secrets[i].Steps = append(doc.Secrets[i].Steps, step)
		}
		return nil
	})
	for i, c := range list {
		p := &doc.Secrets[i]
		p.Secret = c.name
		if errs[i] != nil {
			p.Error, p.Hint, p.Remedies = DescribeIn(errs[i])
		}
		if p.Steps == nil {
			p.Steps = []api.StepDoc{}
		}
	}
	return doc, nil
}

// stepsAhead is what happens to one secret until the plan's end, or up to its
// next step. If nothing does, it says what the secret is waiting for,
// possibly after the end, or why.
func stepsAhead(state rotation.State, policy rotation.Policy, decision rotation.Decision, doc api.PlanDoc) []rotation.Planned {
	now := doc.From
	var out []rotation.Planned
	if doc.Until.IsZero() {
		for p := range rotation.Project(state, policy, now, now.Add(planHorizon)) {
			if len(out) > 0 && p.At.After(now) && out[len(out)-1].At.After(now) {
				break
			}
			out = append(out, p)
		}
	} else {
		out = slices.Collect(rotation.Project(state, policy, now, doc.Until))
	}
	if len(out) == 0 {
		out = append(out, rotation.Planned{At: decision.At, Decision: decision})
	}
	if next, renews := rotation.NextRenewal(state, policy, now); renews && (doc.Until.IsZero() || !next.At.After(doc.Until)) {
		at := slices.IndexFunc(out, func(p rotation.Planned) bool { return p.At.IsZero() || p.At.After(next.At) })
		if at < 0 {
			at = len(out)
		}
		out = slices.Insert(out, at, next)
	}
	return out
}

func plannedDoc(p rotation.Planned) api.StepDoc {
	d := p.Decision
	doc := api.StepDoc{At: p.At, Step: d.Step, Version: d.Version, Credential: d.Credential, Hold: d.Hold, Reason: d.Reason, Remedies: d.Remedies}
	if d.Step == rota.StepNone {
		doc.Step = d.Next
	}
	return doc
}
