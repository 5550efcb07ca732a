package controller

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/rotation"
)

// Reasons of conditions that don't come from a hold or a step.
const (
	reasonInvalid = "Invalid"
	reasonValid   = "Valid"
	reasonPending = "Pending"
	reasonInUse   = "InUse"
	reasonIdle    = "Idle"
	reasonNone    = "None"
)

// verdict is one condition before it's compared with what was there.
type verdict struct {
	kind            string
	is              bool
	reason, message string
}

// problems are what's wrong with a resource, in the words of its own spec.
func (s *snapshot) problems(p *part) string {
	var texts []string
	for _, x := range s.Invalid[p.ID()] {
		texts = append(texts, p.Text(x))
	}
	if p.wrong != "" {
		texts = append(texts, p.wrong)
	}
	const most = 10
	if len(texts) > most {
		texts = append(texts[:most], fmt.Sprintf("and %d more", len(texts)-most))
	}
	return strings.Join(texts, "; ")
}

// status is what the status of a resource should be.
func (s *snapshot) status(p *part, doc api.StatusSecretDoc, valid last, now time.Time) map[string]any {
	wrong := s.problems(p)
	out := map[string]any{"observedGeneration": p.object.GetGeneration()}
	if wrong != "" && s.Outdated[p.ID()] {
		out["lastValid"] = map[string]any{"generation": valid.generation, "spec": valid.spec}
		wrong += "; the last valid spec stays in force"
	}
	var verdicts []verdict
	if p.Kind == config.RotatingSecret {
		verdicts = secretStatus(out, doc, wrong)
	} else {
		for key := range p.Spec {
			out["system"] = key
		}
		verdicts = []verdict{{"Ready", true, reasonValid, "RotatingSecrets can use it; that its login works shows when they do"}}
		if wrong != "" {
			verdicts = []verdict{{"Ready", false, reasonInvalid, wrong}}
			out["why"] = wrong
		}
	}
	var conditions []any
	for _, v := range verdicts {
		before := condition(p.object, v.kind)
		status := map[bool]string{true: "True", false: "False"}[v.is]
		since, _ := before["lastTransitionTime"].(string)
		if before["status"] != status || since == "" {
			since = now.UTC().Format(time.RFC3339)
		}
		conditions = append(conditions, map[string]any{
			"type": v.kind, "status": status, "reason": v.reason, "message": clip(v.message, 4096),
			"observedGeneration": p.object.GetGeneration(), "lastTransitionTime": since,
		})
	}
	out["conditions"] = conditions
	return out
}

// words are the states as the column shows them. They're those of rota status.
var words = map[api.SecretState]string{
	api.StateOK: "Ready", api.StateDue: "Due", api.StatePaused: "Paused", api.StateHeld: "Held",
	api.StateLate: "Late", api.StateFailed: "Failed", api.StateQuarantined: "Quarantined",
}

// secretStatus fills in how a secret stands, and judges it.
func secretStatus(out map[string]any, doc api.StatusSecretDoc, wrong string) []verdict {
	rotating := rotatingVerdict(doc)
	held := verdict{"Held", false, reasonNone, "nothing is held back"}
	why := hint.Add(doc.Reason, doc.Remedies)
	if doc.Hold != rotation.HoldNone {
		held = verdict{"Held", true, camel(string(doc.Hold)), why}
	} else if doc.Paused != "" {
		held = verdict{"Held", true, "Paused", "paused " + doc.Paused}
	}
	ready := readyVerdict(doc, why)
	state, reason := words[doc.State], doc.Reason
	if rotating.is && (doc.State == api.StateOK || doc.State == api.StateDue) {
		state = "Rotating"
	}
	if doc.State == "" {
		state, reason = "Pending", ready.message
	}
	if wrong != "" {
		ready, state, reason = verdict{"Ready", false, reasonInvalid, wrong}, reasonInvalid, wrong
	}
	set := func(key, value string) {
		if value != "" {
			out[key] = value
		}
	}
	date := func(key string, t time.Time) {
		if !t.IsZero() {
			out[key] = t.UTC().Format(time.RFC3339)
		}
	}
	set("state", state)
	set("why", clip(reason, 300))
	set("version", doc.Version)
	set("credential", doc.Credential)
	date("rotatedAt", doc.IssuedAt)
	date("expiresAt", doc.ExpiresAt)
	if doc.Next != rota.StepNone {
		next := string(doc.Next)
		if !doc.NextAt.IsZero() {
			next += " " + doc.NextAt.UTC().Format("2006-01-02 15:04Z")
		}
		set("next", next)
	}
	return []verdict{ready, rotating, held}
}

// spoiled are the holds that say that the current credential may not be good.
var spoiled = map[rotation.HoldKind]bool{
	rotation.HoldDrifted: true, rotation.HoldNotAtIssuer: true, rotation.HoldForeignChange: true, rotation.HoldOutdated: true, rotation.HoldUnverified: true,
}

// readyVerdict says whether consumers have a credential that's good: it's in force, and
// delivered to all of them. That the next one is on its way, or held, changes nothing.
func readyVerdict(doc api.StatusSecretDoc, why string) verdict {
	no := func(reason, message string) verdict { return verdict{"Ready", false, reason, message} }
	switch {
	case doc.Version == "" && doc.State == api.StateFailed:
		return no("Failed", why)
	case doc.Version == "" && doc.Hold != rotation.HoldNone:
		return no(camel(string(doc.Hold)), why)
	case doc.Version == "":
		return no(reasonPending, "the first credential is on its way")
	case doc.Next == rota.StepDeliver || doc.Next == rota.StepReload:
		return no(camel(string(doc.Next)), why)
	case spoiled[doc.Hold]:
		return no(camel(string(doc.Hold)), why)
	}
	return verdict{"Ready", true, reasonInUse, "the current credential is in force and delivered to all that use it"}
}

// rotatingVerdict says whether a new credential is on its way.
func rotatingVerdict(doc api.StatusSecretDoc) verdict {
	switch doc.Next {
	case rota.StepSet, rota.StepTest, rota.StepPromote, rota.StepDeliver, rota.StepReload:
		return verdict{"Rotating", true, camel(string(doc.Next)), doc.Reason}
	case rota.StepCreate:
		if doc.Worker != "" || !doc.BegunAt.IsZero() {
			return verdict{"Rotating", true, camel(string(doc.Next)), doc.Reason}
		}
	case rota.StepNone, rota.StepDeactivate, rota.StepDelete, rota.StepRenew, rota.StepRollback:
	}
	return verdict{"Rotating", false, reasonIdle, "no rotation is under way"}
}

// condition returns one of an object's conditions.
func condition(o *unstructured.Unstructured, kind string) map[string]any {
	all, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, c := range all {
		if c, ok := c.(map[string]any); ok && c["type"] == kind {
			return c
		}
	}
	return nil
}

// camel writes "previous in use" as PreviousInUse.
func camel(text string) string {
	var out strings.Builder
	for word := range strings.FieldsSeq(text) {
		out.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return out.String()
}

// clip shortens a text, between characters.
func clip(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}
