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

// attach moves a label to an existing version. AWSPREVIOUS moves to the version
// that AWSCURRENT is taken from. If rotation is enabled, that counts as a
// rotation, whoever did it.
func attach(c *record.Change, label, id string) {
	from := c.Holder(label)
	if from != nil && from.ID == id {
		return
	}
	detach(c, label)
	to := c.Version(id)
	to.Labels = append(to.Labels, label)
	if label != labelCurrent || from == nil {
		return
	}
	attach(c, labelPrevious, from.ID)
	if c.Rotation.Enabled {
		c.Rotation.RotatedAt = c.Now
		c.Rotation.NextAt = next(c.Rotation, c.Now)
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
