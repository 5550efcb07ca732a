package kubernetes

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// When a pod reads a Secret, and until when it may hold the old value.
func TestWhenAPodMayHoldTheOldValue(t *testing.T) {
	written := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(seconds int) string {
		return written.Add(time.Duration(seconds) * time.Second).Format(time.RFC3339)
	}
	const env, sub, volume = `"env": [{"valueFrom": {"secretKeyRef": {"name": "orders"}}}]`, `"volumeMounts": [{"name": "v", "subPath": "p"}]`, `"volumeMounts": [{"name": "v"}]`
	running := func(name string, seconds int) string {
		return fmt.Sprintf(`{"name": %q, "restartCount": 1, "state": {"running": {"startedAt": %q}}}`, name, at(seconds))
	}
	ended := func(name string, seconds int) string {
		return fmt.Sprintf(`{"name": %q, "state": {"terminated": {"startedAt": %q, "finishedAt": %[2]q}}}`, name, at(seconds))
	}
	const waiting = `{"name": "a", "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 1}}}`
	for name, test := range map[string]struct {
		made                               int // the pod, in seconds after the Secret was written
		init, main, ephemeral              string
		initStatus, mainStatus, debugState string
		soon, later                        bool // whether it holds it 1 minute and 1 hour later
	}{
		"env, began before":                         {-60, "", `{"name": "a", ` + env + `}`, "", "", running("a", -50), "", true, true},
		"env, the same second":                      {0, "", `{"name": "a", ` + env + `}`, "", "", running("a", 0), "", true, true},
		"env, the container was restarted":          {-60, "", `{"name": "a", ` + env + `}`, "", "", running("a", 5), "", false, false},
		"env, another container was restarted":      {-60, "", `{"name": "a", ` + env + `}, {"name": "b"}`, "", "", running("a", -50) + "," + running("b", 5), "", true, true},
		"env, only another container is old":        {-60, "", `{"name": "a", ` + env + `}, {"name": "b"}`, "", "", running("a", 5) + "," + running("b", -50), "", false, false},
		"env, made after":                           {5, "", `{"name": "a", ` + env + `}`, "", "", running("a", 6), "", false, false},
		"env, never started":                        {-60, "", `{"name": "a", ` + env + `}`, "", "", "", "", true, false},
		"env, crashes again and again":              {-60, "", `{"name": "a", ` + env + `}`, "", "", waiting, "", true, false},
		"subPath, began before":                     {-60, "", `{"name": "a", ` + sub + `}`, "", "", running("a", -50), "", true, true},
		"subPath, restarted with the old volume":    {-60, "", `{"name": "a", ` + sub + `}`, "", "", running("a", 5), "", true, true},
		"subPath, restarted with the new volume":    {-60, "", `{"name": "a", ` + sub + `}`, "", "", running("a", 500), "", false, false},
		"subPath, made after":                       {5, "", `{"name": "a", ` + sub + `}`, "", "", running("a", 6), "", false, false},
		"volume":                                    {-60, "", `{"name": "a", ` + volume + `}`, "", "", running("a", -50), "", true, false},
		"volume, restarted":                         {-60, "", `{"name": "a", ` + volume + `}`, "", "", running("a", 5), "", true, false},
		"a sidecar's env":                           {-60, `{"name": "s", "restartPolicy": "Always", ` + env + `}`, `{"name": "a"}`, "", running("s", -55), running("a", 5), "", true, true},
		"a sidecar's env, restarted":                {-60, `{"name": "s", "restartPolicy": "Always", ` + env + `}`, `{"name": "a"}`, "", running("s", 5), running("a", -50), "", false, false},
		"what an init container read":               {-60, `{"name": "i", ` + env + `}`, `{"name": "a"}`, "", ended("i", -55), running("a", 5), "", true, true},
		"what an init container read from a volume": {-60, `{"name": "i", ` + volume + `}`, `{"name": "a"}`, "", ended("i", -55), running("a", 5), "", true, true},
		"what an init container read after":         {-60, `{"name": "i", ` + env + `}`, `{"name": "a"}`, "", ended("i", 5), running("a", 6), "", false, false},
		"a container for debugging":                 {-60, "", `{"name": "a"}`, `{"name": "d", ` + env + `}`, "", running("a", -50), running("d", -10), true, true},
		"a container for debugging, over":           {-60, "", `{"name": "a"}`, `{"name": "d", ` + env + `}`, "", running("a", -50), ended("d", -10), true, false},
		"none of them reads it":                     {-60, "", `{"name": "a"}`, "", "", running("a", -50), "", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			var p pod
			text := fmt.Sprintf(`{"metadata": {"creationTimestamp": %q}, "spec": {"volumes": [{"name": "v", "secret": {"secretName": "orders"}}], "initContainers": [%s], "containers": [%s], "ephemeralContainers": [%s]},
				"status": {"phase": "Running", "initContainerStatuses": [%s], "containerStatuses": [%s], "ephemeralContainerStatuses": [%s]}}`,
				at(test.made), test.init, test.main, test.ephemeral, test.initStatus, test.mainStatus, test.debugState)
			if err := json.Unmarshal([]byte(text), &p); err != nil {
				t.Fatal(err)
			}
			d := delivered{key: "orders", state: "1", at: written}
			for after, want := range map[time.Duration]bool{time.Minute: test.soon, time.Hour: test.later} {
				if got := p.mayHold("orders", d, written.Add(after), 2*time.Minute); got != want {
					t.Errorf("after %s: %v, want %v", after, got, want)
				}
			}
		})
	}
}
