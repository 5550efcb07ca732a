//go:build !lambda

package chat

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"github.com/rota-dev/rota"
)

// The services that take more than a text.
const (
	pagerDuty = "pagerduty"
	opsgenie  = "opsgenie"
)

// message is the event in the form the service takes.
func (s *service) message(e rota.Event) (string, types.Params) {
	switch s.kind {
	case pagerDuty:
		return s.page(e)
	case opsgenie:
		return rota.Clip(e.Text(), maxText), types.Params{"title": e.Title(), "alias": e.ID}
	}
	return rota.Clip(e.Text(), maxText), types.Params{"title": e.Title()}
}

// Wants implements [rota.Chooser]. PagerDuty only gets problems and their
// resolutions, because each message opens or closes an incident.
func (s *service) Wants(k rota.EventKind) bool {
	if s.kind != pagerDuty {
		return true
	}
	_, opens := severities[k]
	return opens || k == rota.EventRecovered || k == rota.EventRotated
}

// severities are the severities of the PagerDuty incidents that events open.
var severities = map[rota.EventKind]string{
	rota.EventFailed: "error", rota.EventQuarantined: "critical", rota.EventLate: "critical", rota.EventHeld: "warning",
	rota.EventExpiring: "warning", rota.EventReminder: "warning", rota.EventDigest: "warning",
}

// page is an event for PagerDuty. A secret has at most two incidents: one for
// its problems, which its recovery closes, and one for expiry or a manual
// rotation, which its rotation closes.
func (s *service) page(e rota.Event) (string, types.Params) {
	params := types.Params{"action": "trigger"}
	key := "rota/" + e.Secret
	switch e.Kind {
	case rota.EventRecovered:
		params["action"] = "resolve"
	case rota.EventRotated:
		params["action"] = "resolve"
		key += "/renew"
	case rota.EventExpiring, rota.EventReminder:
		key += "/renew"
	case rota.EventDigest:
		key = e.ID
	}
	if len(key) > 255 { // PagerDuty's limit
		sum := sha256.Sum256([]byte(key))
		key = hex.EncodeToString(sum[:])
	}
	params["dedup_key"] = key
	if severity := severities[e.Kind]; severity != "" && !s.set["severity"] {
		params["severity"] = severity
	}
	if !s.set["source"] {
		params["source"] = "rota"
	}
	details, _ := json.Marshal(map[string]string{ // texts: it can't fail
		"event": e.ID, "kind": string(e.Kind), "secret": e.Secret, "version": e.Version, "credential": e.Credential,
		"text": rota.Clip(e.Text(), maxText),
	})
	params["details"] = string(details)
	summary := e.Title()
	if why := e.Why(); why != "" {
		summary += ": " + why
	}
	return summary, params
}
