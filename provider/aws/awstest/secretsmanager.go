package awstest

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// secretRequest is the union of the parameters of all actions.
type secretRequest struct {
	Name                       string
	Description                *string
	SecretID                   string  `json:"SecretId"`
	KMSKeyID                   *string `json:"KmsKeyId"`
	ClientRequestToken         string
	SecretString               *string
	SecretBinary               []byte
	Tags                       []tag
	TagKeys                    []string
	VersionID                  string `json:"VersionId"`
	VersionStage               string
	VersionStages              []string
	MoveToVersionID            string `json:"MoveToVersionId"`
	RemoveFromVersionID        string `json:"RemoveFromVersionId"`
	MaxResults                 *int
	NextToken                  string
	IncludeDeprecated          bool
	IncludePlannedDeletion     bool
	RecoveryWindowInDays       *int
	ForceDeleteWithoutRecovery bool
	Filters                    []filter
	SortOrder                  string
}

// about is the version and the labels for the record of the call.
func (r *secretRequest) about() (version, labels string) {
	labels = strings.Join(r.VersionStages, ",")
	if r.VersionStage != "" {
		labels = r.VersionStage
	}
	for _, id := range []string{r.ClientRequestToken, r.MoveToVersionID, r.VersionID, r.RemoveFromVersionID} {
		if id != "" {
			return id, labels
		}
	}
	return "", labels
}

func (r *secretRequest) hasValue() bool { return r.SecretString != nil || r.SecretBinary != nil }

func (s *Server) secretsManager(x *exchange) (any, *apiError) {
	switch x.action {
	case "CreateSecret":
		return s.createSecret(x.args)
	case "DescribeSecret":
		return s.describeSecret(x)
	case "GetSecretValue":
		return s.getSecretValue(x)
	case "PutSecretValue":
		return s.putSecretValue(x.args)
	case "UpdateSecretVersionStage":
		return s.updateSecretVersionStage(x.args)
	case "ListSecretVersionIds":
		return s.listSecretVersionIDs(x)
	case "ListSecrets":
		return s.listSecrets(x)
	case "UpdateSecret":
		return s.updateSecret(x.args)
	case "DeleteSecret":
		return s.deleteSecret(x.args)
	case "RestoreSecret":
		return s.restoreSecret(x.args)
	case "TagResource", "UntagResource":
		return struct{}{}, s.tagSecret(x)
	}
	return nil, unknownAction(x)
}

// epoch is a date of the JSON protocol: seconds since 1970, to the millisecond.
type epoch struct{ time.Time }

// MarshalJSON writes the date as a number.
func (e epoch) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(e.UnixMilli())/1000, 'f', 3, 64), nil
}

var errNoSecret = apiError{Status: 400, Code: "ResourceNotFoundException", Message: "Secrets Manager can't find the specified secret."}

func invalidParameter(message string) *apiError {
	return fail(400, "InvalidParameterException", message)
}

func invalidRequest(message string) *apiError { return fail(400, "InvalidRequestException", message) }

var arnSuffix = regexp.MustCompile(`-[A-Za-z0-9]{6}$`)

// resolve reads a SecretId: a name, a full ARN, which must match as a whole, or
// an ARN without the six random characters. An ARN whose name ends in a hyphen
// and six characters is taken for a full one, as AWS warns.
func (s *Server) resolve(id string) (name, fullARN string) {
	rest, isARN := strings.CutPrefix(id, s.secretARN(""))
	switch {
	case !isARN:
		return id, ""
	case arnSuffix.MatchString(rest):
		return rest[:len(rest)-7], id
	}
	return rest, ""
}

func (s *Server) secretName(id string) string {
	name, _ := s.resolve(id)
	return name
}

func (s *Server) secretARN(name string) string {
	return "arn:aws:secretsmanager:" + s.region + ":" + s.account + ":secret:" + name
}

// secret finds a secret by a SecretId. One whose recovery window is over is gone.
func (s *Server) secret(id string, stale bool) (*secret, *apiError) {
	if id == "" {
		return nil, invalidParameter("You must provide a SecretId.")
	}
	name, arn := s.resolve(id)
	c := s.secrets.get(name, stale)
	if c == nil || (arn != "" && c.arn != arn) || c.gone(s.now()) {
		e := errNoSecret
		return nil, &e
	}
	return c, nil
}

// forUse is secret for the actions that refuse one that is to be deleted.
func (s *Server) forUse(id string, stale bool) (*secret, *apiError) {
	c, e := s.secret(id, stale)
	if e == nil && !c.deleteAt.IsZero() {
		return nil, invalidRequest("You can't perform this operation on the secret because it was marked for deletion.")
	}
	return c, e
}

var validName = regexp.MustCompile(`^[A-Za-z0-9/_+=.@!-]{1,512}$`)

type secretAnswer struct {
	ARN, Name     string
	VersionID     string   `json:"VersionId,omitempty"`
	VersionStages []string `json:",omitempty"`
	DeletionDate  epoch    `json:",omitzero"`
}

func (s *Server) createSecret(r *secretRequest) (any, *apiError) {
	if !validName.MatchString(r.Name) {
		return nil, invalidParameter("Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!")
	}
	c := s.secrets.get(r.Name, false)
	if c != nil && !c.gone(s.now()) {
		return s.createAgain(c, r)
	}
	c = &secret{
		name: r.Name, arn: s.secretARN(r.Name) + "-" + s.pick(alphanum, 6),
		created: s.now(), changed: s.now(),
	}
	c.detail(r)
	if e := c.addTags(r.Tags); e != nil {
		return nil, e
	}
	answer := secretAnswer{ARN: c.arn, Name: c.name}
	if r.hasValue() {
		v, e := newVersion(r, s.now())
		if e != nil {
			return nil, e
		}
		c.versions = append(c.versions, v)
		c.attach(labelCurrent, v.id)
		answer.VersionID = v.id
	}
	s.secrets.put(c.name, c)
	return answer, nil
}

// detail takes over what a request says beside the value.
func (c *secret) detail(r *secretRequest) {
	if r.Description != nil {
		c.description = *r.Description
	}
	if r.KMSKeyID != nil {
		c.kmsKey = *r.KMSKeyID
	}
}

// createAgain answers a CreateSecret for a secret that there is: the same
// token with the same value is the same request once more.
func (s *Server) createAgain(c *secret, r *secretRequest) (any, *apiError) {
	if !c.deleteAt.IsZero() {
		return nil, invalidRequest("You can't create this secret because a secret with this name is already scheduled for deletion.")
	}
	if v := c.version(r.ClientRequestToken); v != nil && v.same(r) {
		return secretAnswer{ARN: c.arn, Name: c.name, VersionID: v.id}, nil
	}
	return nil, fail(400, "ResourceExistsException", "The operation failed because the secret "+c.name+" already exists.")
}

func (s *Server) describeSecret(x *exchange) (any, *apiError) {
	c, e := s.secret(x.args.SecretID, x.stale)
	if e != nil {
		return nil, e
	}
	entry := c.entry()
	return struct {
		secretEntry
		VersionIDsToStages map[string][]string `json:"VersionIdsToStages,omitempty"`
	}{entry, c.stages()}, nil
}

// secretEntry is what DescribeSecret and ListSecrets have in common.
type secretEntry struct {
	ARN, Name        string
	Description      string `json:",omitempty"`
	KMSKeyID         string `json:"KmsKeyId,omitempty"`
	RotationEnabled  *bool  `json:",omitempty"`
	CreatedDate      epoch  `json:",omitzero"`
	LastChangedDate  epoch  `json:",omitzero"`
	LastRotatedDate  epoch  `json:",omitzero"`
	LastAccessedDate epoch  `json:",omitzero"`
	DeletedDate      epoch  `json:",omitzero"`
	Tags             []tag  `json:",omitempty"`
}

func (c *secret) entry() secretEntry {
	e := secretEntry{
		ARN: c.arn, Name: c.name, Description: c.description, KMSKeyID: c.kmsKey, Tags: c.tags,
		CreatedDate: epoch{c.created}, LastChangedDate: epoch{c.changed},
		LastAccessedDate: epoch{c.accessed}, DeletedDate: epoch{c.deleted},
	}
	if c.rotates {
		e.RotationEnabled, e.LastRotatedDate = new(true), epoch{c.rotated}
	}
	return e
}

func (s *Server) getSecretValue(x *exchange) (any, *apiError) {
	c, e := s.forUse(x.args.SecretID, x.stale)
	if e != nil {
		return nil, e
	}
	v, e := c.pick(x.args.VersionID, x.args.VersionStage)
	if e != nil {
		return nil, e
	}
	day := s.now().Truncate(24 * time.Hour)
	c.accessed, v.accessed = day, day // no write: a stale read shows it too
	return struct {
		ARN, Name     string
		VersionID     string  `json:"VersionId"`
		SecretString  *string `json:",omitempty"`
		SecretBinary  []byte  `json:",omitempty"`
		VersionStages []string
		CreatedDate   epoch
	}{c.arn, c.name, v.id, v.text, v.data, v.labels, epoch{v.created}}, nil
}

func (s *Server) updateSecret(r *secretRequest) (any, *apiError) {
	c, e := s.forUse(r.SecretID, false)
	if e != nil {
		return nil, e
	}
	c = c.clone(s.now())
	c.detail(r)
	answer := secretAnswer{ARN: c.arn, Name: c.name}
	if r.hasValue() {
		v, e := c.add(r, s.now())
		if e != nil {
			return nil, e
		}
		c.attach(labelCurrent, v.id)
		answer.VersionID = v.id
	}
	s.secrets.put(c.name, c)
	return answer, nil
}
