package awstest

import (
	"regexp"
	"strconv"
	"time"
)

// role is an IAM role that may be assumed by whoever may call sts:AssumeRole.
type role struct {
	name, arn, id string
	actions       []string
}

// session is what AssumeRole gave out.
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
	}
	return nil, unknownAction(x)
}

var sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

func (s *Server) assumeRole(x *exchange) (any, *apiError) {
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
	r := s.roles[afterLast(x.form.Get("RoleArn"), "/")]
	if r == nil || r.arn != x.form.Get("RoleArn") {
		return nil, fail(403, codeDenied, "User: "+x.caller.arn+" is not authorized to perform: sts:AssumeRole on resource: "+x.form.Get("RoleArn"))
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
