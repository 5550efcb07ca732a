package awstest

import (
	"bytes"
	"slices"
	"time"
)

const (
	labelCurrent  = "AWSCURRENT"
	labelPrevious = "AWSPREVIOUS"
	labelPending  = "AWSPENDING"
)

// secret is a secret with its versions. Rows of the table are never changed in
// place, but for the dates of last access.
type secret struct {
	name, arn, description, kmsKey string
	created, changed, accessed     time.Time
	rotated, deleted, deleteAt     time.Time
	rotates                        bool
	tags                           []tag
	versions                       []version // in order of creation
}

// version is one value of a secret. It has neither text nor data while a
// rotation by AWS has announced it and nobody has put the value.
type version struct {
	id                string
	text              *string
	data              []byte
	created, accessed time.Time
	labels            []string
}

// clone copies the row for a change that is made now.
func (c *secret) clone(now time.Time) *secret {
	d := *c
	d.changed = now
	d.versions = slices.Clone(c.versions)
	d.tags = slices.Clone(c.tags)
	return &d
}

// gone says whether the recovery window is over.
func (c *secret) gone(now time.Time) bool { return !c.deleteAt.IsZero() && !now.Before(c.deleteAt) }

func (c *secret) version(id string) *version {
	i := slices.IndexFunc(c.versions, func(v version) bool { return v.id == id })
	if i < 0 {
		return nil
	}
	return &c.versions[i]
}

func (c *secret) holder(label string) *version {
	i := slices.IndexFunc(c.versions, func(v version) bool { return slices.Contains(v.labels, label) })
	if i < 0 {
		return nil
	}
	return &c.versions[i]
}

// stages maps the versions that have labels to them.
func (c *secret) stages() map[string][]string {
	stages := map[string][]string{}
	for _, v := range c.versions {
		if len(v.labels) > 0 {
			stages[v.id] = v.labels
		}
	}
	return stages
}

// attach moves a label to a version. AWSPREVIOUS goes to the version that
// AWSCURRENT is taken from.
func (c *secret) attach(label, id string) {
	from := c.holder(label)
	if from != nil && from.id == id {
		return
	}
	c.detach(label)
	to := c.version(id)
	to.labels = append(slices.Clone(to.labels), label)
	if label == labelCurrent && from != nil {
		c.attach(labelPrevious, from.id)
	}
}

func (c *secret) detach(label string) {
	if v := c.holder(label); v != nil {
		v.labels = slices.DeleteFunc(slices.Clone(v.labels), func(l string) bool { return l == label })
	}
}

// pick finds the version for GetSecretValue, which must have a value.
func (c *secret) pick(id, label string) (*version, *apiError) {
	if id == "" && label == "" {
		label = labelCurrent
	}
	var v *version
	missing := errNoSecret
	if id != "" {
		v = c.version(id)
		missing.Message = "Secrets Manager can't find the specified secret value for VersionId: " + id
	} else {
		v = c.holder(label)
		missing.Message = "Secrets Manager can't find the specified secret value for staging label: " + label
	}
	switch {
	case v == nil:
		return nil, &missing
	case label != "" && !slices.Contains(v.labels, label):
		return nil, invalidRequest("You provided a VersionStage that is not associated to the provided VersionId.")
	case !v.filled():
		return nil, &missing
	}
	return v, nil
}

func (v *version) filled() bool { return v.text != nil || v.data != nil }

// same says whether a request holds the version's own value.
func (v *version) same(r *secretRequest) bool {
	if (v.text == nil) != (r.SecretString == nil) {
		return false
	}
	return bytes.Equal(v.data, r.SecretBinary) && (v.text == nil || *v.text == *r.SecretString)
}
