package awstest

import (
	"slices"
	"time"
)

const (
	maxValue    = 65536 // bytes
	maxLabels   = 20    // attached across all versions of a secret
	maxVersions = 100   // a secret, as long as older ones can be removed
	minAge      = 24 * time.Hour
)

// newVersion makes a version of the value in a request.
func newVersion(r *secretRequest, now time.Time) (version, *apiError) {
	var size int
	switch {
	case r.SecretString != nil && r.SecretBinary != nil:
		return version{}, invalidParameter("You can't specify both a binary secret value and a string secret value in the same secret.")
	case r.SecretString != nil:
		size = len(*r.SecretString)
	default:
		size = len(r.SecretBinary)
	}
	switch token := len(r.ClientRequestToken); {
	case size == 0:
		return version{}, invalidParameter("You must provide either SecretString or SecretBinary.")
	case size > maxValue:
		return version{}, fail(400, "ValidationException", "1 validation error detected: the secret value failed to satisfy constraint: Member must have length less than or equal to 65536")
	case token < 32 || token > 64:
		return version{}, invalidParameter("ClientRequestToken must be 32-64 characters long.")
	}
	return version{id: r.ClientRequestToken, text: r.SecretString, data: r.SecretBinary, created: now}, nil
}

// add puts a new version into a cloned row, or fills the one that a rotation
// by AWS announced, and removes what the quota leaves no room for.
func (c *secret) add(r *secretRequest, now time.Time) (*version, *apiError) {
	v, e := newVersion(r, now)
	if e != nil {
		return nil, e
	}
	if old := c.version(v.id); old != nil {
		if old.filled() {
			return nil, fail(400, "ResourceExistsException", "You can't use ClientRequestToken "+v.id+" because that value is already in use for a version of secret "+c.arn+".")
		}
		old.text, old.data = v.text, v.data
		return old, nil
	}
	if len(c.versions) >= maxVersions {
		i := slices.IndexFunc(c.versions, func(v version) bool { return len(v.labels) == 0 && now.Sub(v.created) >= minAge })
		if i < 0 {
			return nil, fail(400, "LimitExceededException", "The secret has reached the quota of versions, and none of them is old enough to be removed.")
		}
		c.versions = slices.Delete(c.versions, i, i+1)
	}
	c.versions = append(c.versions, v)
	return &c.versions[len(c.versions)-1], nil
}

func (s *Server) putSecretValue(r *secretRequest) (any, *apiError) {
	c, e := s.forUse(r.SecretID, false)
	if e != nil {
		return nil, e
	}
	if v := c.version(r.ClientRequestToken); v != nil && v.filled() && v.same(r) {
		return secretAnswer{ARN: c.arn, Name: c.name, VersionID: v.id, VersionStages: v.labels}, nil
	}
	c = c.clone(s.now())
	first := c.holder(labelCurrent) == nil
	v, e := c.add(r, s.now())
	if e != nil {
		return nil, e
	}
	labels := r.VersionStages
	if len(labels) == 0 {
		labels = []string{labelCurrent}
	}
	if first { // the first version of a secret gets AWSCURRENT whatever is asked
		labels = append(slices.Clone(labels), labelCurrent)
	}
	id := v.id
	for _, label := range labels {
		if e := checkLabel(label); e != nil {
			return nil, e
		}
		s.move(c, label, id)
	}
	if e := c.checkQuota(); e != nil {
		return nil, e
	}
	v = c.version(id)
	s.secrets.put(c.name, c)
	return secretAnswer{ARN: c.arn, Name: c.name, VersionID: v.id, VersionStages: v.labels}, nil
}

// move attaches a label and notes the end of a rotation.
func (s *Server) move(c *secret, label, id string) {
	c.attach(label, id)
	if label == labelCurrent && c.rotates {
		c.rotated = s.now()
	}
}

func (c *secret) checkQuota() *apiError {
	n := 0
	for _, v := range c.versions {
		n += len(v.labels)
	}
	if n > maxLabels {
		return fail(400, "LimitExceededException", "The versions of a secret can have at most 20 staging labels together.")
	}
	return nil
}

func checkLabel(label string) *apiError {
	if label == "" || len(label) > 256 {
		return invalidParameter("A staging label must have 1 to 256 characters.")
	}
	return nil
}

func (s *Server) updateSecretVersionStage(r *secretRequest) (any, *apiError) {
	c, e := s.forUse(r.SecretID, false)
	if e != nil {
		return nil, e
	}
	if e := checkLabel(r.VersionStage); e != nil {
		return nil, e
	}
	if e := c.checkMove(r.VersionStage, r.RemoveFromVersionID, r.MoveToVersionID); e != nil {
		return nil, e
	}
	c = c.clone(s.now())
	if r.MoveToVersionID == "" {
		c.detach(r.VersionStage)
	} else {
		s.move(c, r.VersionStage, r.MoveToVersionID)
		if e := c.checkQuota(); e != nil {
			return nil, e
		}
	}
	s.secrets.put(c.name, c)
	return secretAnswer{ARN: c.arn, Name: c.name}, nil
}

// checkMove holds the rules of UpdateSecretVersionStage. RemoveFromVersionId is
// its compare-and-swap: it must name the version that has the label.
func (c *secret) checkMove(label, from, to string) *apiError {
	if from == "" && to == "" {
		return invalidParameter("You must provide MoveToVersionId, RemoveFromVersionId or both.")
	}
	for _, id := range []string{from, to} {
		if id != "" && c.version(id) == nil {
			e := errNoSecret
			e.Message = "Secrets Manager can't find the specified secret version: " + id
			return &e
		}
	}
	holder := c.holder(label)
	switch {
	case from == "" && holder != nil && holder.id != to:
		return invalidParameter("The parameter RemoveFromVersionId can't be empty. Staging label " + label + " is currently attached to version " + holder.id + ", so you must explicitly reference that version in RemoveFromVersionId.")
	case from != "" && (holder == nil || holder.id != from):
		return invalidParameter("When you move staging label " + label + ", if you specify RemoveFromVersionId, it must be set to the version that currently has the staging label " + label + ".")
	case to == "" && label == labelCurrent:
		return invalidParameter("You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.")
	}
	return nil
}

func (s *Server) listSecretVersionIDs(x *exchange) (any, *apiError) {
	c, e := s.secret(x.args.SecretID, x.stale)
	if e != nil {
		return nil, e
	}
	limit, after, e := x.args.paging()
	if e != nil {
		return nil, e
	}
	type member struct {
		VersionID        string   `json:"VersionId"`
		VersionStages    []string `json:",omitempty"`
		CreatedDate      epoch
		LastAccessedDate epoch    `json:",omitzero"`
		KMSKeyIDs        []string `json:"KmsKeyIds"`
	}
	key := c.kmsKey
	if key == "" {
		key = "DefaultEncryptionKey"
	}
	result := struct {
		ARN, Name string
		Versions  []member
		NextToken string `json:",omitempty"`
	}{ARN: c.arn, Name: c.name, Versions: []member{}}
	at := 0
	for _, v := range c.versions {
		if len(v.labels) == 0 && !x.args.IncludeDeprecated {
			continue
		}
		if at++; at <= after {
			continue
		}
		if len(result.Versions) == limit {
			result.NextToken = marker(at - 1)
			break
		}
		result.Versions = append(result.Versions, member{v.id, v.labels, epoch{v.created}, epoch{v.accessed}, []string{key}})
	}
	return result, nil
}
