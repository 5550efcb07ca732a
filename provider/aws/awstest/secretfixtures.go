package awstest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota/internal/store/record"
)

const (
	labelCurrent = "AWSCURRENT"
	labelPending = "AWSPENDING"
)

// CreateSecret makes a secret whose first version has this text. It returns the
// secret's ARN and the version's id.
func (s *Server) CreateSecret(name, text string) (arn, versionID string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := struct{ Name, SecretString, ClientRequestToken string }{name, text, s.newUUID()}
	var out struct {
		ARN       string
		VersionID string `json:"VersionId"`
	}
	if err := s.callSecrets("CreateSecret", in, &out); err != nil {
		return "", "", fmt.Errorf("awstest: create secret %s: %w", name, err)
	}
	return out.ARN, out.VersionID, nil
}

// AnnounceVersion performs the first step of AWS's own rotation: it turns
// rotation on and makes a version labeled AWSPENDING that has no value yet. The
// token is the version's id. As on AWS, it's an error if a version other than
// the current one has AWSPENDING.
func (s *Server) AnnounceVersion(name string) (token string, err error) {
	return s.announce(name, false)
}

// AnnounceRehearsal is AnnounceVersion for RotateSecret with RotateImmediately
// set to false: the version holds a copy of the current value, and AWS calls only
// testSecret.
func (s *Server) AnnounceRehearsal(name string) (token string, err error) {
	return s.announce(name, true)
}

func (s *Server) announce(name string, rehearsal bool) (token string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token = s.newUUID()
	err = s.secrets.records.Update(context.Background(), name, func(c *record.Change) error {
		if !c.Exists {
			return record.ErrNotFound
		}
		if v := c.Holder(labelPending); v != nil {
			if !slices.Contains(v.Labels, labelCurrent) {
				return errRotating
			}
			v.Labels = slices.DeleteFunc(v.Labels, func(l string) bool { return l == labelPending })
		}
		c.Rotation.Enabled, c.ChangedAt = true, c.Now
		c.Versions = append(c.Versions, record.Version{ID: token, CreatedAt: c.Now, Labels: []string{labelPending}})
		if current := c.Holder(labelCurrent); rehearsal && current != nil {
			value, err := c.Value(current.ID)
			if err != nil {
				return err
			}
			c.Put(token, value)
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("awstest: announce version of %s: %w", name, err)
	}
	return token, nil
}

var errRotating = errors.New("a previous rotation isn't complete; that rotation will be reattempted")

// Secret is the state of a secret, without its values.
type Secret struct {
	Name, ARN   string
	Description string
	Tags        map[string]string
	Created     time.Time
	Changed     time.Time
	Deleted     time.Time // when deletion was requested; zero if it wasn't
	Versions    []Version // in creation order, including deprecated ones
}

// Version is the state of a version, without its value.
type Version struct {
	ID       string
	Labels   []string
	Created  time.Time
	HasValue bool
}

// Secret returns the state of a secret by name, and whether it exists.
func (s *Server) Secret(name string) (Secret, bool) {
	r, err := s.secrets.records.View(context.Background(), name)
	if err != nil {
		return Secret{}, false
	}
	state := Secret{
		Name: r.Name, ARN: s.secrets.now.ARN(r), Description: r.Description, Tags: map[string]string{},
		Created: r.CreatedAt, Changed: r.ChangedAt, Deleted: r.DeletedAt,
	}
	for _, t := range r.Tags {
		state.Tags[t.Key] = t.Value
	}
	for _, v := range r.Versions {
		state.Versions = append(state.Versions, Version{ID: v.ID, Labels: v.Labels, Created: v.CreatedAt, HasValue: !v.Empty})
	}
	return state, true
}

// Labels maps the labels of a secret to version ids. It's empty if the secret
// doesn't exist.
func (s *Server) Labels(name string) map[string]string {
	state, _ := s.Secret(name)
	labels := map[string]string{}
	for _, v := range state.Versions {
		for _, label := range v.Labels {
			labels[label] = v.ID
		}
	}
	return labels
}

// SecretText returns the text of a version, found by label or id, without
// making a call or counting as an access.
func (s *Server) SecretText(name, labelOrID string) (text string, ok bool) {
	var found record.Value
	_ = s.secrets.records.Update(context.Background(), name, func(c *record.Change) error {
		v := c.Holder(labelOrID)
		if v == nil {
			v = c.Version(labelOrID)
		}
		if v != nil {
			found, _ = c.Value(v.ID) // no value counts as no version
		}
		return errLooked
	})
	if found.Text == nil {
		return "", false
	}
	return *found.Text, true
}

// errLooked aborts an update that was only meant to read.
var errLooked = errors.New("only looked")
