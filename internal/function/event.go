package function

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota"
)

// event is what an invocation asks for: one of the types below.
type event interface{ kind() string }

// rotationEvent is a step of Secrets Manager's own rotation.
type rotationEvent struct {
	SecretID           string `json:"SecretId"`
	ClientRequestToken string
	Step               string
	RotationToken      string // proves whose rotation it is, in another account
}

// lifecycleEvent is one act on the access keys of a user.
type lifecycleEvent struct {
	Action   string `json:"action"`
	Username string `json:"username"`
	Secret   string `json:"secret"` // defaults to Username
	// AfterDays is how many days, by the calendar in UTC, must have passed: since
	// the current key was made, for a deletion since the previous one was switched
	// off. Before that there is nothing to do. So a schedule can ask every day,
	// and what failed or was held is tried again on the next.
	AfterDays *int `json:"after_days"`
}

// sweepEvent asks for all that is due, of one secret or of all.
type sweepEvent struct {
	Action string    `json:"action"`
	Secret string    `json:"secret"`
	ID     string    `json:"id"`   // of the schedule's event
	Time   time.Time `json:"time"` // when it was due
}

// emptyEvent asks for what the environment says.
type emptyEvent struct{}

func (rotationEvent) kind() string  { return "rotation" }
func (lifecycleEvent) kind() string { return "lifecycle" }
func (sweepEvent) kind() string     { return "sweep" }
func (emptyEvent) kind() string     { return "empty" }

// steps are those of Secrets Manager's protocol.
var steps = map[string]rota.Step{
	"createSecret": rota.StepCreate,
	"setSecret":    rota.StepSet,
	"testSecret":   rota.StepTest,
	"finishSecret": rota.StepPromote,
}

// actions are what a lifecycle event may ask for.
var actions = map[string]rota.Step{"create": rota.StepCreate, "deactivate": rota.StepDeactivate, "delete": rota.StepDelete}

const eventForms = `known are a step of Secrets Manager's rotation (SecretId, ClientRequestToken, Step), {"action": "create", "deactivate" or "delete", "username": …} with "secret" and "after_days" where wanted, ` +
	`{"action": "run"}, a schedule's event, and none at all where IAM_USER_NAME is set`

// eventError is an event that asks for nothing that Rota knows. It names the
// event's keys, never its values.
type eventError struct {
	keys   []string
	reason string
}

func (e *eventError) Error() string {
	seen := "no key"
	if len(e.keys) > 0 {
		seen = "the keys " + strings.Join(e.keys, ", ")
	}
	return fmt.Sprintf("this event asks for nothing that Rota knows: %s; it has %s (try: %s)", e.reason, seen, eventForms)
}

// parseEvent finds out by its keys what an event asks for.
func parseEvent(raw []byte) (event, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return emptyEvent{}, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, &eventError{reason: "it is no JSON object"}
	}
	r := eventReader{raw: raw, keys: slices.Sorted(maps.Keys(fields))}
	switch {
	case len(fields) == 0:
		return emptyEvent{}, nil
	case r.has("SecretId", "ClientRequestToken", "Step"):
		return r.rotation()
	case r.has("action"):
		return r.action()
	case r.has("source", "detail-type"):
		return r.schedule()
	}
	return nil, r.refuse("none of its keys says what to do")
}

// eventReader reads one event.
type eventReader struct {
	raw  []byte
	keys []string
}

func (r eventReader) has(any ...string) bool {
	return slices.ContainsFunc(any, func(k string) bool { return slices.Contains(r.keys, k) })
}

func (r eventReader) refuse(format string, args ...any) error {
	return &eventError{keys: r.keys, reason: fmt.Sprintf(format, args...)}
}

// allowOnly refuses keys that a person's own event must not have: they are mistakes.
func (r eventReader) allowOnly(allowed ...string) error {
	for _, k := range r.keys {
		if !slices.Contains(allowed, k) {
			return r.refuse("the key %s does not belong there", k)
		}
	}
	return nil
}

// decodeInto decodes the event. What JSON says of a wrong value is left out: it may
// quote it.
func decodeInto[T any](r eventReader) (T, error) {
	var e T
	if err := json.Unmarshal(r.raw, &e); err != nil {
		return e, r.refuse("the value of a key is of the wrong type")
	}
	return e, nil
}

// rotation takes keys that it does not know: AWS adds some from time to time.
func (r eventReader) rotation() (event, error) {
	if r.has("action", "username", "detail-type") {
		return nil, r.refuse("a rotation's keys and others are mixed")
	}
	e, err := decodeInto[rotationEvent](r)
	switch _, known := steps[e.Step]; {
	case err != nil:
		return nil, err
	case e.SecretID == "" || e.ClientRequestToken == "" || e.Step == "":
		return nil, r.refuse("a rotation has SecretId, ClientRequestToken and Step")
	case !known:
		return nil, r.refuse("its Step is none of createSecret, setSecret, testSecret and finishSecret")
	}
	return e, nil
}

func (r eventReader) action() (event, error) {
	e, err := decodeInto[lifecycleEvent](r)
	if err != nil {
		return nil, err
	}
	if e.Action == "run" {
		if err := r.allowOnly("action", "secret"); err != nil {
			return nil, err
		}
		return sweepEvent{Action: e.Action, Secret: e.Secret}, nil
	}
	if _, ok := actions[e.Action]; !ok {
		return nil, r.refuse("its action is none of create, deactivate, delete and run")
	}
	if err := r.allowOnly("action", "username", "secret", "after_days"); err != nil {
		return nil, err
	}
	if e.Username == "" {
		return nil, r.refuse("an action has a username")
	}
	if e.AfterDays != nil && *e.AfterDays < 0 {
		return nil, r.refuse("after_days is less than 0")
	}
	return e, nil
}

// schedule takes what EventBridge's rules and EventBridge Scheduler send where
// they are given no input of their own.
func (r eventReader) schedule() (event, error) {
	e, err := decodeInto[struct {
		sweepEvent
		Source string `json:"source"`
		Type   string `json:"detail-type"`
	}](r)
	switch {
	case err != nil:
		return nil, err
	case (e.Source != "aws.events" && e.Source != "aws.scheduler") || e.Type != "Scheduled Event":
		return nil, r.refuse("it is an event of AWS, and none of a schedule")
	}
	return sweepEvent{ID: e.ID, Time: e.Time}, nil
}
