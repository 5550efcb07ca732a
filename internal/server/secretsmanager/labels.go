package secretsmanager

import (
	"slices"

	"github.com/rota-dev/rota/internal/store/record"
)

// The labels that the service itself interprets.
const (
	labelCurrent  = "AWSCURRENT"
	labelPrevious = "AWSPREVIOUS"
	labelPending  = "AWSPENDING"
)

// maxLabels is how many labels all of a secret's versions can have together.
const maxLabels = 20

// attach moves a label to an existing version. When AWSCURRENT is taken from a
// version, AWSPREVIOUS moves there and AWSPENDING leaves it: otherwise the next
// rotation would resume with a value that has been replaced. If rotation is
// enabled, the move counts as a rotation, whoever did it; the date of one that
// is underway stays, so that it's looked after.
func attach(c *record.Change, label, id string) {
	from := c.Holder(label)
	if from != nil && from.ID == id {
		return
	}
	detach(c, label)
	to := c.Version(id)
	to.Labels = append(to.Labels, label)
	if label != labelCurrent {
		return
	}
	if c.Rotation.Underway.Version == id {
		c.Rotation.Underway = record.Underway{}
	}
	if from == nil {
		return
	}
	if slices.Contains(from.Labels, labelPending) {
		detach(c, labelPending)
	}
	attach(c, labelPrevious, from.ID)
	if c.Rotation.Enabled {
		c.Rotation.RotatedAt = c.Now
		if c.Rotation.Underway.Version == "" {
			c.Rotation.NextAt = next(c.Rotation, c.Now)
		}
	}
}

func detach(c *record.Change, label string) {
	if v := c.Holder(label); v != nil {
		v.Labels = slices.DeleteFunc(v.Labels, func(l string) bool { return l == label })
	}
}

func checkLabelQuota(r record.Record) error {
	n := 0
	for _, v := range r.Versions {
		n += len(v.Labels)
	}
	if n > maxLabels {
		return errLimit("The versions of a secret can have at most 20 staging labels together.")
	}
	return nil
}

// stages maps labeled versions to their labels.
func stages(r record.Record) map[string][]string {
	stages := map[string][]string{}
	for _, v := range r.Versions {
		if len(v.Labels) > 0 {
			stages[v.ID] = v.Labels
		}
	}
	return stages
}
