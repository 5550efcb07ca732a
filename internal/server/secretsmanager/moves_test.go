package secretsmanager

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/internal/store/record"
)

var moved = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// labeled is a secret with these labels on its versions, which rotates every 30
// days.
func labeled(labels ...[]string) *record.Change {
	c := &record.Change{Now: moved}
	for i, l := range labels {
		c.Versions = append(c.Versions, record.Version{ID: string(rune('a' + i)), Labels: l})
	}
	c.Rotation = record.Rotation{Enabled: true, AfterDays: 30, NextAt: moved.AddDate(0, 0, 7)}
	return c
}

func TestWhatMovesWithALabel(t *testing.T) {
	off := func(c *record.Change) { c.Rotation.Enabled = false }
	underway := func(id string) func(*record.Change) {
		return func(c *record.Change) { c.Rotation.Underway = record.Underway{Version: id} }
	}
	var due, nextDue = moved.AddDate(0, 0, 7), record.Day(moved.AddDate(0, 0, 30))
	plain := []([]string){{"AWSCURRENT", "GREEN"}, {"AWSPREVIOUS"}, {"AWSPENDING"}}
	for _, test := range []struct {
		name      string
		labels    [][]string
		change    func(*record.Change)
		label, to string
		want      string // the labels by version
		rotatedAt time.Time
		nextAt    time.Time
		underway  string
	}{
		{"the pending version becomes current", plain, underway("c"), "AWSCURRENT", "c", "a: AWSPREVIOUS GREEN, c: AWSCURRENT AWSPENDING", moved, nextDue, ""},
		{"the previous version becomes current", plain, nil, "AWSCURRENT", "b", "a: AWSPREVIOUS GREEN, b: AWSCURRENT, c: AWSPENDING", moved, nextDue, ""},
		{"the current version stays current", plain, nil, "AWSCURRENT", "a", "a: AWSCURRENT GREEN, b: AWSPREVIOUS, c: AWSPENDING", time.Time{}, due, ""},
		{"what was pending and current is only previous", [][]string{{"AWSCURRENT", "AWSPENDING"}, {}}, nil, "AWSCURRENT", "b", "a: AWSPREVIOUS, b: AWSCURRENT", moved, nextDue, ""},
		{"another rotation is under way", plain, underway("c"), "AWSCURRENT", "b", "a: AWSPREVIOUS GREEN, b: AWSCURRENT, c: AWSPENDING", moved, due, "c"},
		{"it doesn't rotate", plain, off, "AWSCURRENT", "c", "a: AWSPREVIOUS GREEN, c: AWSCURRENT AWSPENDING", time.Time{}, due, ""},
		{"nothing was current", [][]string{{}, {"AWSPENDING"}}, underway("b"), "AWSCURRENT", "b", "b: AWSCURRENT AWSPENDING", time.Time{}, due, ""},
		{"a label of the user's own", plain, nil, "GREEN", "b", "a: AWSCURRENT, b: AWSPREVIOUS GREEN, c: AWSPENDING", time.Time{}, due, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			labels := make([][]string, len(test.labels))
			for i, l := range test.labels {
				labels[i] = slices.Clone(l)
			}
			c := labeled(labels...)
			if test.change != nil {
				test.change(c)
			}
			attach(c, test.label, test.to)
			var got []string
			for _, v := range c.Versions {
				if slices.Sort(v.Labels); len(v.Labels) > 0 {
					got = append(got, v.ID+": "+strings.Join(v.Labels, " "))
				}
			}
			if diff := cmp.Diff(test.want, strings.Join(got, ", ")); diff != "" {
				t.Error(diff)
			}
			if r := c.Rotation; !r.RotatedAt.Equal(test.rotatedAt) || !r.NextAt.Equal(test.nextAt) || r.Underway.Version != test.underway {
				t.Errorf("rotated at %s, next at %s, %q under way; want %s, %s, %q", r.RotatedAt, r.NextAt, r.Underway.Version, test.rotatedAt, test.nextAt, test.underway)
			}
		})
	}
}

func TestTwentyLabelsAreTheLimit(t *testing.T) {
	many := slices.Repeat([]string{"x"}, 10)
	if err := checkLabelQuota(labeled(many, many).Record); err != nil {
		t.Errorf("20: %v", err)
	}
	if err := checkLabelQuota(labeled(many, many, []string{"x"}).Record); err == nil {
		t.Error("21 are allowed")
	}
}

func TestAMoveNamesTheVersionThatHasTheLabel(t *testing.T) {
	for _, test := range []struct {
		label, from, to string
		want            string // in the error; "" for none
	}{
		{"AWSCURRENT", "a", "b", ""},
		{"AWSCURRENT", "", "b", "can't be empty"},
		{"AWSCURRENT", "", "a", ""},
		{"AWSCURRENT", "b", "c", "must be set to the version that currently has"},
		{"AWSCURRENT", "a", "", "can't be completely removed"},
		{"GREEN", "b", "", ""},
		{"GREEN", "a", "", "must be set to the version that currently has"},
		{"BLUE", "", "c", ""},
		{"BLUE", "a", "c", "must be set to the version that currently has"},
		{"GREEN", "b", "d", "can't find the specified secret version: d"},
		{"GREEN", "d", "a", "can't find the specified secret version: d"},
	} {
		r := updateSecretVersionStageRequest{SecretID: "s", VersionStage: test.label, RemoveFromVersionID: test.from, MoveToVersionID: test.to}
		err := r.checkMove(&labeled([]string{"AWSCURRENT"}, []string{"GREEN"}, nil).Record)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s from %q to %q: %v, want %q", test.label, test.from, test.to, err, test.want)
		}
	}
	if err := (&updateSecretVersionStageRequest{SecretID: "s", VersionStage: "GREEN"}).check(); err == nil || !strings.Contains(err.Error(), "MoveToVersionId, RemoveFromVersionId or both") {
		t.Errorf("neither from nor to: %v", err)
	}
}
