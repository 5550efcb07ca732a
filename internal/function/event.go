package function

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota"
)

// event is what an invocation requests: one of the types below.
type event interface{ kind() string }

// rotationEvent is a step of Secrets Manager's own rotation.
type rotationEvent struct {
	SecretID           string `json:"SecretId"`
	ClientRequestToken string
	Step               string
	RotationToken      string // proves whose rotation it is, across accounts
}

// lifecycleEvent requests one step for a user's access keys.
type lifecycleEvent struct {
	Action   string `json:"action"`
	Username string `json:"username"`
	Secret   string `json:"secret"` // defaults to Username
	// AfterDays is how many calendar days, in UTC, must have passed since the
	// current key was created, or, for a deletion, since the previous one was
	// deactivated. Before that the event is a no-op. So a schedule can send it
	// every day, and whatever failed or was held is retried the next day.
	AfterDays *int `json:"after_days"`
}

// serviceAccountEvent requests a new access key for a user that a GitLab project
// deploys with, or to go on with it.
type serviceAccountEvent struct {
	Username  string  `json:"username"`
	Secret    string  `json:"secret"` // defaults to Username
	Project   project `json:"gitlab_project_id"`
	AfterDays *int    `json:"after_days"` // without it, at once
}

// project is a GitLab project's number or path.
type project string

var projectID = regexp.MustCompile(`^([1-9][0-9]{0,18}|[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+)$`)

// UnmarshalJSON implements [json.Unmarshaler].
func (p *project) UnmarshalJSON(raw []byte) error {
	*p = project(strings.Trim(string(raw), `"`))
	return nil
}

// sweepEvent requests everything that's due, for one secret or all.
type sweepEvent struct {
	Action string    `json:"action"`
	Secret string    `json:"secret"`
	ID     string    `json:"id"`   // of the schedule's event
	Time   time.Time `json:"time"` // when it was due
}

// emptyEvent requests what the environment says.
type emptyEvent struct{}

func (rotationEvent) kind() string       { return "rotation" }
func (lifecycleEvent) kind() string      { return "lifecycle" }
func (serviceAccountEvent) kind() string { return "service account" }
func (sweepEvent) kind() string          { return "sweep" }
func (emptyEvent) kind() string          { return "empty" }

// steps are the steps of Secrets Manager's protocol.
var steps = map[string]rota.Step{
	"createSecret": rota.StepCreate,
	"setSecret":    rota.StepSet,
	"testSecret":   rota.StepTest,
	"finishSecret": rota.StepPromote,
}

// actions are what a lifecycle event can request.
var actions = map[string]rota.Step{"create": rota.StepCreate, "deactivate": rota.StepDeactivate, "delete": rota.StepDelete}

const eventForms = `known are a step of Secrets Manager's rotation (SecretId, ClientRequestToken, Step), {"action": "create", "deactivate" or "delete", "username": …} with "secret" and "after_days" where wanted, ` +
	`{"username": …, "gitlab_project_id": …} with "secret" and "after_days" where wanted, {"action": "run"}, a schedule's event, and none at all where IAM_USER_NAME is set`

// eventError is an unrecognized event. It names the event's keys, never its
// values.
type eventError struct {
	keys   []string
	reason string
}

func (e *eventError) Error() string {
	seen := "no keys"
	if len(e.keys) > 0 {
		seen = "the keys " + strings.Join(e.keys, ", ")
	}
	return fmt.Sprintf("unrecognized event: %s; it has %s", e.reason, seen)
}

// parseEvent recognizes by its keys what an event requests.
func parseEvent(raw []byte) (event, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return emptyEvent{}, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, rota.WithRemedies(&eventError{reason: "it is not a JSON object"}, rota.Outside(eventForms))
	}
	r := eventReader{raw: raw, keys: slices.Sorted(maps.Keys(fields))}
	switch {
	case len(fields) == 0:
		return emptyEvent{}, nil
	case r.has("SecretId", "ClientRequestToken", "Step"):
		return r.rotation()
	case r.has("action"):
		return r.action()
	case r.has("gitlab_project_id"):
		return r.serviceAccount()
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
	return rota.WithRemedies(&eventError{keys: r.keys, reason: fmt.Sprintf(format, args...)}, rota.Outside(eventForms))
}

// allowOnly refuses unknown keys in a person's own event: they are mistakes.
func (r eventReader) allowOnly(allowed ...string) error {
	for _, k := range r.keys {
		if !slices.Contains(allowed, k) {
			return r.refuse("unexpected key %s", k)
		}
	}
	return nil
}

// decodeInto decodes the event. It drops JSON's error about a wrong value,
// which may quote it.
func decodeInto[T any](r eventReader) (T, error) {
	var e T
	if err := json.Unmarshal(r.raw, &e); err != nil {
		return e, r.refuse("a key's value has the wrong type")
	}
	return e, nil
}

// rotation ignores unknown keys: AWS adds some from time to time.
func (r eventReader) rotation() (event, error) {
	if r.has("action", "username", "detail-type") {
		return nil, r.refuse("it mixes a rotation's keys with others")
	}
	e, err := decodeInto[rotationEvent](r)
	switch _, known := steps[e.Step]; {
	case err != nil:
		return nil, err
	case e.SecretID == "" || e.ClientRequestToken == "" || e.Step == "":
		return nil, r.refuse("a rotation needs SecretId, ClientRequestToken and Step")
	case !known:
		return nil, r.refuse("its Step is not createSecret, setSecret, testSecret or finishSecret")
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
		return nil, r.refuse("its action is not create, deactivate, delete or run")
	}
	if err := r.allowOnly("action", "username", "secret", "after_days"); err != nil {
		return nil, err
	}
	if e.Username == "" {
		return nil, r.refuse("an action needs a username")
	}
	if e.AfterDays != nil && *e.AfterDays < 0 {
		return nil, r.refuse("after_days is negative")
	}
	return e, nil
}

func (r eventReader) serviceAccount() (event, error) {
	e, err := decodeInto[serviceAccountEvent](r)
	if err != nil {
		return nil, err
	}
	if err := r.allowOnly("username", "gitlab_project_id", "secret", "after_days"); err != nil {
		return nil, err
	}
	switch {
	case e.Username == "":
		return nil, r.refuse("it lacks a username")
	case !projectID.MatchString(string(e.Project)):
		return nil, r.refuse("gitlab_project_id is neither a number nor a path")
	case e.AfterDays != nil && *e.AfterDays < 1:
		return nil, r.refuse("after_days is less than 1")
	}
	return e, nil
}

// schedule accepts what EventBridge's rules and EventBridge Scheduler send
// without a custom input.
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
		return nil, r.refuse("it is an AWS event, but not a schedule's")
	}
	return sweepEvent{ID: e.ID, Time: e.Time}, nil
}
