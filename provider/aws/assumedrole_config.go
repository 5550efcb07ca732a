package aws

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Durations of sessions.
const (
	DefaultSession = time.Hour
	ShortSession   = 15 * time.Minute // the shortest that STS allows
	LongSession    = 12 * time.Hour   // the longest
	// ChainedSession is the longest if a role is assumed with another role's
	// credentials.
	ChainedSession = time.Hour
)

const defaultSessionName = "rota"

// STS's limits.
const (
	maxSessionPolicy = 2048 // characters
	maxPolicyARNs    = 10
	maxTags          = 50
	maxExternalID    = 1224
)

var (
	roleARN         = regexp.MustCompile(`^arn:[a-z0-9-]+:iam::[0-9]{12}:role/[\x21-\x7E]+$`)
	policyARN       = regexp.MustCompile(`^arn:[a-z0-9-]+:iam::([0-9]{12}|aws):policy/[\x21-\x7E]+$`)
	roleSessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
	roleExternalID  = regexp.MustCompile(`^[\w+=,.@:/-]+$`)
	tagText         = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+@-]*$`) // of any length: a counted repetition of such classes takes megabytes
)

// Validate returns what STS would refuse. It skips empty fields. The errors that
// it joins are of type [*provider.SettingError].
func (c AssumedRoleConfig) Validate() error {
	var errs []error
	refuse := func(key, hint, format string, args ...any) { errs = append(errs, wrong(key, hint, format, args...)) }
	if c.RoleARN != "" && !roleARN.MatchString(c.RoleARN) {
		refuse("role_arn", "arn:aws:iam::111122223333:role/deploy", "not a role's ARN")
	}
	for _, arn := range c.Chain {
		if arn != "" && !roleARN.MatchString(arn) {
			refuse("chain", "arn:aws:iam::111122223333:role/hub", "not a role's ARN")
		}
	}
	switch d := c.Duration; {
	case d != 0 && (d < ShortSession || d > LongSession):
		refuse("duration", "1h", "%s is not between %s and %s", rota.FormatDuration(d), rota.FormatDuration(ShortSession), rota.FormatDuration(LongSession))
	case d%time.Second != 0:
		refuse("duration", "1h", "STS counts whole seconds")
	case len(c.Chain) > 0 && d > ChainedSession:
		errs = append(errs, chained(d))
	}
	if c.SessionName != "" && !roleSessionName.MatchString(c.SessionName) {
		refuse("session_name", "rota", "must be 2 to 64 letters, digits and _+=,.@-")
	}
	if c.ExternalID != "" && (len(c.ExternalID) < 2 || len(c.ExternalID) > maxExternalID || !roleExternalID.MatchString(c.ExternalID)) {
		refuse("external_id", "", "must be 2 to %d letters, digits and _+=,.@:/-", maxExternalID)
	}
	return errors.Join(append(errs, c.validateRights()...)...)
}

// wrong returns an error about one key.
func wrong(key, hint, format string, args ...any) error {
	return rota.WithRemedies(&provider.SettingError{Key: key, Message: fmt.Sprintf(format, args...)}, rota.Configure(key, hint))
}

// validateRights is Validate for policies and tags.
func (c AssumedRoleConfig) validateRights() []error {
	var errs []error
	refuse := func(key, hint, format string, args ...any) { errs = append(errs, wrong(key, hint, format, args...)) }
	if c.Policy != "" {
		var policy map[string]any
		if json.Unmarshal([]byte(c.Policy), &policy) != nil || policy["Statement"] == nil {
			refuse("policy", `{"Version":"2012-10-17","Statement":[…]}`, `not an IAM policy in JSON`)
		}
		if utf8.RuneCountInString(c.Policy) > maxSessionPolicy {
			refuse("policy", "policy_arns", "longer than %d characters", maxSessionPolicy)
		}
	}
	if len(c.PolicyARNs) > maxPolicyARNs {
		refuse("policy_arns", "", "more than %d", maxPolicyARNs)
	}
	for _, arn := range c.PolicyARNs {
		if arn != "" && !policyARN.MatchString(arn) {
			refuse("policy_arns", "arn:aws:iam::aws:policy/ReadOnlyAccess", "not a managed policy's ARN")
		}
	}
	if len(c.Tags) > maxTags {
		refuse("tags", "", "more than %d", maxTags)
	}
	for _, key := range slices.Sorted(maps.Keys(c.Tags)) {
		if !isTag(key, 1, 128) || strings.HasPrefix(strings.ToLower(key), "aws:") {
			refuse("tags", "", "%q can't be a tag's key: 1 to 128 letters, digits, blanks and _.:/=+@-, not beginning with aws:", provider.Said(key))
		}
		if !isTag(c.Tags[key], 0, 256) {
			refuse("tags", "", "the value of %q must be at most 256 letters, digits, blanks and _.:/=+@-", provider.Said(key))
		}
	}
	for _, key := range c.TransitiveTagKeys {
		if _, tagged := c.Tags[key]; !tagged {
			refuse("transitive_tag_keys", "", "%q is none of the tags", provider.Said(key))
		}
	}
	return errs
}

func chained(d time.Duration) error {
	return wrong("duration", "duration: 1h, or no chain and no role_arn of the connection",
		"%s is more than the %s that AWS gives where a role is assumed with another role's credentials",
		rota.FormatDuration(d), rota.FormatDuration(ChainedSession))
}

// isTag reports whether a tag's key or value has the characters and the length
// that STS accepts.
func isTag(s string, least, most int) bool {
	n := utf8.RuneCountInString(s)
	return n >= least && n <= most && tagText.MatchString(s)
}
