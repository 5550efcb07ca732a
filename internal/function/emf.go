package function

import (
	"encoding/json"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// metrics collects what an invocation reports to CloudWatch in its embedded
// metric format: one line of JSON per secret, on standard output.
type metrics struct {
	namespace string
	out       io.Writer
	now       func() time.Time

	mu      sync.Mutex
	secrets map[string]map[string]float64
}

// unitOf lists every metric, with its unit.
var unitOf = map[string]string{
	"Rotations": "Count", "Deactivated": "Count", "Deleted": "Count", "StepsFailed": "Count",
	"Held": "Count", "NotNotified": "Count", "Left": "Count", "Age": "Seconds",
}

func newMetrics(namespace string, out io.Writer, now func() time.Time) *metrics {
	return &metrics{namespace: namespace, out: out, now: now, secrets: map[string]map[string]float64{}}
}

func (m *metrics) add(secret, name string, n float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	values := m.secrets[secret]
	if values == nil {
		values = map[string]float64{}
		m.secrets[secret] = values
	}
	values[name] += n
}

// entry counts an audit entry.
func (m *metrics) entry(e rotation.Entry) {
	switch {
	case e.Outcome == rotation.OutcomeFailed && e.Step == string(rotation.StepNotify):
		m.add(e.Secret, "NotNotified", 1)
	case e.Outcome == rotation.OutcomeFailed:
		m.add(e.Secret, "StepsFailed", 1)
	case e.Outcome != rotation.OutcomeSucceeded:
	case e.Step == string(rota.StepPromote):
		m.add(e.Secret, "Rotations", 1)
	case e.Step == string(rota.StepDeactivate):
		m.add(e.Secret, "Deactivated", 1)
	case e.Step == string(rota.StepDelete):
		m.add(e.Secret, "Deleted", 1)
	}
}

// result counts the end of a turn: whether it's held, and the age of the
// current credential.
func (m *metrics) result(r rotation.Result, now time.Time) {
	if r.Secret == "" {
		return
	}
	held := 0.0
	if r.Last.Hold != rotation.HoldNone {
		held = 1
	}
	m.add(r.Secret, "Held", held)
	if at := r.Status.IssuedAt; !at.IsZero() {
		m.mu.Lock()
		m.secrets[r.Secret]["Age"] = now.Sub(at).Seconds()
		m.mu.Unlock()
	}
}

// skipped counts the secrets that a sweep had no time for.
func (m *metrics) skipped(n int) { m.add("", "Left", float64(n)) }

// flush writes the lines.
func (m *metrics) flush() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, secret := range slices.Sorted(maps.Keys(m.secrets)) {
		values := m.secrets[secret]
		type metric struct{ Name, Unit string }
		var defined []metric
		line := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(values)) {
			defined = append(defined, metric{name, unitOf[name]})
			line[name] = values[name]
		}
		dimensions := [][]string{{}}
		if secret != "" {
			line["Secret"] = secret
			dimensions = append(dimensions, []string{"Secret"})
		}
		line["_aws"] = map[string]any{
			"Timestamp":         m.now().UnixMilli(),
			"CloudWatchMetrics": []any{map[string]any{"Namespace": m.namespace, "Dimensions": dimensions, "Metrics": defined}},
		}
		if text, err := json.Marshal(line); err == nil {
			_, _ = m.out.Write(append(text, '\n'))
		}
	}
	m.secrets = map[string]map[string]float64{}
}
