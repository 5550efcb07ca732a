package secretsmanager

import (
	"context"
	"slices"
	"strings"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/store/record"
	"github.com/rota-dev/rota/rotation"
)

const maxTags = 50

type tag struct{ Key, Value string }

func checkTags(tags []tag) error {
	for _, t := range tags {
		if err := firstError(checkLength("tags.key", t.Key, 1, 128), checkLength("tags.value", t.Value, 0, 256)); err != nil {
			return err
		}
		if strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return errInvalidParameter("Tag keys that begin with aws: are reserved for AWS.")
		}
	}
	return nil
}

// addTags adds tags, or replaces the values of existing ones.
func addTags(r *record.Record, tags []tag) error {
	for _, t := range tags {
		if i := slices.IndexFunc(r.Tags, func(old record.Tag) bool { return old.Key == t.Key }); i >= 0 {
			r.Tags[i].Value = t.Value
			continue
		}
		r.Tags = append(r.Tags, record.Tag(t))
	}
	if len(r.Tags) > maxTags {
		return errLimit("A secret can have at most 50 tags.")
	}
	return nil
}

type tagResourceRequest struct {
	SecretID string `json:"SecretId"`
	Tags     []tag
}

func (r *tagResourceRequest) check() error {
	if r.Tags == nil {
		return violation("tags", "Member must not be null")
	}
	return firstError(checkSecretID(r.SecretID), checkTags(r.Tags))
}

func tagResource(ctx context.Context, s *Server, g *record.Guarded, in *tagResourceRequest) (emptyOutput, error) {
	t := s.parseID(in.SecretID)
	if err := s.checkReservedTags(ctx, g, rotation.OpTag, t.name, tagKeys(in.Tags)...); err != nil {
		return emptyOutput{}, err
	}
	return emptyOutput{}, g.Update(ctx, t.name, record.Operation{Action: access.Write, Op: rotation.OpTag}, func(c *record.Change) error {
		if err := t.checkChangeable(c); err != nil {
			return err
		}
		c.ChangedAt = c.Now
		return addTags(&c.Record, in.Tags)
	})
}

type untagResourceRequest struct {
	SecretID string `json:"SecretId"`
	TagKeys  []string
}

func (r *untagResourceRequest) check() error {
	if r.TagKeys == nil {
		return violation("tagKeys", "Member must not be null")
	}
	for _, key := range r.TagKeys {
		if err := checkLength("tagKeys", key, 1, 128); err != nil {
			return err
		}
	}
	return checkSecretID(r.SecretID)
}

func untagResource(ctx context.Context, s *Server, g *record.Guarded, in *untagResourceRequest) (emptyOutput, error) {
	t := s.parseID(in.SecretID)
	if err := s.checkReservedTags(ctx, g, rotation.OpUntag, t.name, in.TagKeys...); err != nil {
		return emptyOutput{}, err
	}
	return emptyOutput{}, g.Update(ctx, t.name, record.Operation{Action: access.Write, Op: rotation.OpUntag}, func(c *record.Change) error {
		if err := t.checkChangeable(c); err != nil {
			return err
		}
		had := len(c.Tags)
		c.Tags = slices.DeleteFunc(c.Tags, func(t record.Tag) bool { return slices.Contains(in.TagKeys, t.Key) })
		if len(c.Tags) != had {
			c.ChangedAt = c.Now
		}
		return nil
	})
}
