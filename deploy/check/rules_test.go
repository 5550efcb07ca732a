package check

import (
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
)

// rules are the alerts by name.
func rules(t *testing.T) map[string]rulefmt.Rule {
	t.Helper()
	text, err := os.ReadFile("../prometheus/rota.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	groups, errs := rulefmt.Parse(text, false, model.LegacyValidation, parser.NewParser(parser.Options{}), slog.New(slog.NewTextHandler(t.Output(), nil)))
	for _, err := range errs {
		t.Error(err)
	}
	if groups == nil {
		t.FailNow()
	}
	all := map[string]rulefmt.Rule{}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			all[r.Alert] = r
		}
	}
	return all
}

func TestEveryAlertSaysWhatItMeansAndWhatToDo(t *testing.T) {
	for name, r := range rules(t) {
		for _, annotation := range []string{"summary", "description", "runbook"} {
			if r.Annotations[annotation] == "" {
				t.Errorf("%s has no %s", name, annotation)
			}
		}
		if s := r.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s has the severity %q", name, s)
		}
		if r.For == 0 {
			t.Errorf("%s alerts at the first scrape", name)
		}
	}
}

// For each alert, series of two hours for which it must fire, and some for
// which it must not. The tests' time starts at 0.
var alerts = map[string]struct {
	fires, quiet map[string]string
	at           time.Duration // defaults to two hours
}{
	"RotaLate": {
		fires: map[string]string{
			"one of two replicas has seen it": "rota_late_secrets{job=\"rota\",instance=\"a\"} 0x120\nrota_late_secrets{job=\"rota\",instance=\"b\"} 1x120",
		},
		quiet: map[string]string{"none": `rota_late_secrets{job="rota"} 0x120`},
	},
	"RotaQuarantined": {
		fires: map[string]string{"one": `rota_secrets{job="rota",state="quarantined"} 1x120`},
		quiet: map[string]string{"none": "rota_secrets{job=\"rota\",state=\"quarantined\"} 0x120\nrota_secrets{job=\"rota\",state=\"ok\"} 9x120"},
	},
	"RotaDrifted": {
		fires: map[string]string{
			"a password was changed":        `rota_held_secrets{job="rota",hold="current not in force"} 1x120`,
			"a key was deactivated by hand": `rota_held_secrets{job="rota",hold="current not active at the issuer"} 1x120`,
			"one of two replicas has seen it": "rota_held_secrets{job=\"rota\",instance=\"a\",hold=\"current not in force\"} 0x120\n" +
				"rota_held_secrets{job=\"rota\",instance=\"b\",hold=\"current not in force\"} 1x120",
		},
		quiet: map[string]string{
			"none":         `rota_held_secrets{job="rota",hold="current not in force"} 0x120`,
			"another hold": `rota_held_secrets{job="rota",hold="previous in use"} 2x120`,
		},
	},
	"RotaHeldLong": {
		fires: map[string]string{"in use for four days": `rota_held_longest_seconds{job="rota",hold="previous in use"} 345600x120`},
		quiet: map[string]string{
			"for a day":      `rota_held_longest_seconds{job="rota",hold="previous in use"} 86400x120`,
			"paused for ten": `rota_held_longest_seconds{job="rota",hold="paused"} 864000x120`,
		},
	},
	"RotaCredentialTooOld": {
		fires: map[string]string{"two years": `rota_credential_age_longest_seconds{job="rota"} 63072000x120`},
		quiet: map[string]string{"a month": `rota_credential_age_longest_seconds{job="rota"} 2592000x120`},
	},
	"RotaNoTurns": {
		fires: map[string]string{
			"something is due": "rota_due_secrets{job=\"rota\"} 3x120\nrota_turns_total{job=\"rota\",outcome=\"ok\"} 7x120",
			"all are busy":     "rota_due_secrets{job=\"rota\"} 3x120\nrota_turns_total{job=\"rota\",outcome=\"ok\"} 7x120\nrota_turns_total{job=\"rota\",outcome=\"busy\"} 0+1x120",
		},
		quiet: map[string]string{
			"nothing is due":              "rota_due_secrets{job=\"rota\"} 0x120\nrota_turns_total{job=\"rota\",outcome=\"ok\"} 7x120",
			"now and then":                "rota_due_secrets{job=\"rota\"} 3x110 0 3x10\nrota_turns_total{job=\"rota\",outcome=\"ok\"} 7x120",
			"turns, though they all fail": "rota_due_secrets{job=\"rota\"} 3x120\nrota_turns_total{job=\"rota\",outcome=\"wait\"} 0+1x120",
		},
	},
	"RotaScheduleStopped": {
		fires: map[string]string{"an hour ago": `rota_schedule_last_look_timestamp_seconds{job="rota"} 3600x120`},
		quiet: map[string]string{"each minute": `rota_schedule_last_look_timestamp_seconds{job="rota"} 0+60x120`},
	},
	"RotaReplicaDown": {
		fires: map[string]string{"one of two": "up{job=\"rota\",instance=\"a\"} 1x120\nup{job=\"rota\",instance=\"b\"} 0x120"},
		quiet: map[string]string{"up": `up{job="rota"} 1x120`, "another's": "up{job=\"rota\"} 1x120\nup{job=\"other\"} 0x120"},
	},
	"RotaAllReplicasDown": {
		fires: map[string]string{"down": `up{job="rota"} 0x120`, "not there": `up{job="other"} 1x120`},
		quiet: map[string]string{"one of two": "up{job=\"rota\",instance=\"a\"} 1x120\nup{job=\"rota\",instance=\"b\"} 0x120"},
	},
	"RotaMetricsOld": {
		fires: map[string]string{"an hour ago": "rota_survey_timestamp_seconds{job=\"rota\"} 3600x120\nrota_survey_duration_seconds{job=\"rota\"} 1x120"},
		quiet: map[string]string{
			"each minute":                           "rota_survey_timestamp_seconds{job=\"rota\"} 0+60x120\nrota_survey_duration_seconds{job=\"rota\"} 1x120",
			"a survey of three minutes an hour ago": "rota_survey_timestamp_seconds{job=\"rota\"} 3600x120\nrota_survey_duration_seconds{job=\"rota\"} 180x120",
		},
	},
	"RotaEventsUnsent": {
		fires: map[string]string{"all the time": `rota_unsent_event_secrets{job="rota"} 2x120`},
		quiet: map[string]string{"now and then": `rota_unsent_event_secrets{job="rota"} 2x100 0 2x20`},
	},
	"RotaOutboxStuck": {
		at:    10 * 24 * time.Hour,
		fires: map[string]string{"for ten days": `rota_outbox_oldest_timestamp_seconds{job="rota",notifier="ops"} 0x14400`},
		quiet: map[string]string{"for a day": `rota_outbox_oldest_timestamp_seconds{job="rota",notifier="ops"} 777600x14400`},
	},
	"RotaConfigurationRefused": {
		fires: map[string]string{"on one of two replicas": "rota_configuration_refused{job=\"rota\",instance=\"a\"} 0x120\nrota_configuration_refused{job=\"rota\",instance=\"b\"} 1x120"},
		quiet: map[string]string{"on none": `rota_configuration_refused{job="rota",instance="a"} 0x120`},
	},
	"RotaAuditBroken": {
		fires: map[string]string{"on one of two replicas": "rota_audit_broken{job=\"rota\",instance=\"a\"} 0x120\nrota_audit_broken{job=\"rota\",instance=\"b\"} 1x120"},
		quiet: map[string]string{"on none": `rota_audit_broken{job="rota",instance="a"} 0x120`},
	},
	"RotaAnchorFailing": {
		fires: map[string]string{"one place of two": "rota_audit_anchor_failing{job=\"rota\",place=\"a\"} 0x120\nrota_audit_anchor_failing{job=\"rota\",place=\"b\"} 1x120"},
		quiet: map[string]string{"none": `rota_audit_anchor_failing{job="rota",place="a"} 0x120`},
	},
	"RotaFrozenLong": {
		at:    2 * 24 * time.Hour,
		fires: map[string]string{"for two days": `rota_frozen_since_timestamp_seconds{job="rota"} 0x2880`},
		quiet: map[string]string{"for an hour": `rota_frozen_since_timestamp_seconds{job="rota"} 169200x2880`, "not": `rota_frozen{job="rota"} 0x2880`},
	},
}

func TestAlertsFireWhenTheyShould(t *testing.T) {
	all := rules(t)
	for name := range all {
		if c := alerts[name]; len(c.fires) == 0 || len(c.quiet) == 0 {
			t.Errorf("%s is not tested", name)
		}
	}
	for name, c := range alerts {
		r, ok := all[name]
		if !ok {
			t.Errorf("there is no %s", name)
			continue
		}
		at := c.at
		if at == 0 {
			at = 2 * time.Hour
		}
		for what, series := range c.fires {
			t.Run(name+"/fires/"+what, func(t *testing.T) {
				if n := firing(t, r.Expr, series, at); n != 1 {
					t.Errorf("%d alerts, want 1", n)
				}
			})
		}
		for what, series := range c.quiet {
			t.Run(name+"/quiet/"+what, func(t *testing.T) {
				if n := firing(t, r.Expr, series, at); n != 0 {
					t.Errorf("%d alerts, want none", n)
				}
			})
		}
	}
}

// firing is how many alerts an expression raises for series with one sample a
// minute.
func firing(t *testing.T, expr, series string, at time.Duration) int {
	t.Helper()
	storage := promqltest.LoadedStorage(t, "load 1m\n"+series)
	q, err := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery).
		NewInstantQuery(t.Context(), storage, nil, expr, time.Unix(0, 0).Add(at))
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	result := q.Exec(t.Context())
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	vector, ok := result.Value.(promql.Vector)
	if !ok {
		t.Fatalf("it gives a %s", result.Value.Type())
	}
	return len(vector)
}
