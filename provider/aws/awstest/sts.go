package awstest

import (
	"regexp"
	"strconv"
	"time"
)

// Trust says who can assume a role, and for how long.
type Trust struct {
	// ExternalID is the external ID that callers must send. Defaults to none.
	ExternalID string
	// WebIdentityToken is the only token that AssumeRoleWithWebIdentity
	// accepts. By default, no one can assume the role that way.
	WebIdentityToken string
	// MaxSession is the longest session. Defaults to 12 hours.
	MaxSession time.Duration
}

// role is an IAM role that anyone allowed to call sts:AssumeRole can assume.
type role struct {
	name, arn, id string
	actions       []string
	trust         Trust
}

// Trust sets who can assume a role made by CreateRole.
func (s *Server) Trust(name string, t Trust) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.roles[name]; r != nil {
		r.trust = t
	}
}

// session is a session issued by AssumeRole.
type session struct {
	role    *role
	key     accessKey
	token   string
	arn, id string
	expires time.Time
}

func (s *Server) sts(x *exchange) (any, *apiError) {
	switch x.action {
	case "GetCallerIdentity":
		return struct {
			Arn     string
			UserID  string `xml:"UserId"`
			Account string
		}{x.caller.arn, x.caller.id, s.account}, nil
	case "AssumeRole":
		return s.assumeRole(x)
	case actionWebIdentity:
		return s.assumeRoleWithWebIdentity(x)
	}
	return nil, unknownAction(x)
}

var sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

const (
	// actionWebIdentity is the only unsigned call: the token is the proof.
	actionWebIdentity = "AssumeRoleWithWebIdentity"
	// chainedSession is the longest session that another session can request.
	chainedSession = time.Hour
)

func (s *Server) assumeRole(x *exchange) (any, *apiError) {
	r := s.roles[afterLast(x.form.Get("RoleArn"), "/")]
	if r == nil || r.arn != x.form.Get("RoleArn") || r.trust.ExternalID != "" && r.trust.ExternalID != x.form.Get("ExternalId") {
		return nil, fail(403, codeDenied, "User: "+x.caller.arn+" is not authorized to perform: sts:AssumeRole on resource: "+x.form.Get("RoleArn"))
	}
	return s.newSession(x, r, s.sessions[x.caller.key.id] != nil)
}

func (s *Server) assumeRoleWithWebIdentity(x *exchange) (any, *apiError) {
	r := s.roles[afterLast(x.form.Get("RoleArn"), "/")]
	switch token := x.form.Get("WebIdentityToken"); {
	case r == nil || r.arn != x.form.Get("RoleArn") || r.trust.WebIdentityToken == "":
		return nil, fail(403, codeDenied, "Not authorized to perform sts:"+actionWebIdentity)
	case token != r.trust.WebIdentityToken:
		return nil, fail(400, "InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider")
	}
	return s.newSession(x, r, false)
}

// newSession validates a request for a session, and makes the session.
func (s *Server) newSession(x *exchange, r *role, chained bool) (any, *apiError) {
	name := x.form.Get("RoleSessionName")
	if !sessionName.MatchString(name) {
		return nil, fail(400, "ValidationError", "Value at 'roleSessionName' failed to satisfy constraint")
	}
	lasts := time.Hour
	if text := x.form.Get("DurationSeconds"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 900 || n > 43200 {
			return nil, fail(400, "ValidationError", "Value at 'durationSeconds' failed to satisfy constraint: it must be from 900 to 43200")
		}
		lasts = time.Duration(n) * time.Second
	}
	switch longest := r.trust.MaxSession; {
	case chained && lasts > chainedSession:
		return nil, fail(400, "ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
	case longest > 0 && lasts > longest:
		return nil, fail(400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	sess := &session{
		role:    r,
		key:     accessKey{id: s.newID("ASIA"), secret: s.newSecretKey(), active: true, created: s.now()},
		token:   s.pick(secret64, 120),
		arn:     "arn:aws:sts::" + s.account + ":assumed-role/" + r.name + "/" + name,
		id:      r.id + ":" + name,
		expires: s.now().Add(lasts),
	}
	s.sessions[sess.key.id] = sess
	type credentials struct {
		AccessKeyID     string `xml:"AccessKeyId"`
		SecretAccessKey string
		SessionToken    string
		Expiration      string
	}
	type assumed struct {
		AssumedRoleID string `xml:"AssumedRoleId"`
		Arn           string
	}
	return struct {
		Credentials     credentials
		AssumedRoleUser assumed
	}{credentials{sess.key.id, sess.key.secret, sess.token, iso(sess.expires)}, assumed{sess.id, sess.arn}}, nil
}
