package config

import (
	"encoding/json"
	"regexp"

	"rota"
	"rota/provider/aws"
)

var (
	roleARN     = regexp.MustCompile(`^arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+$`)
	sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
)

// assumeRole checks what STS would refuse, and a policy that can't be kept.
func (v *validator) assumeRole(s *Secret, path string) {
	a, policy := s.Issuer.AssumeRole, s.Policy
	at := path + ".issuer.assume_role"
	for _, arn := range append([]Text{a.RoleARN}, a.Chain...) {
		if text, known := arn.literal(); known && !roleARN.MatchString(text) {
			v.add(arn.At, "try: arn:aws:iam::111122223333:role/name", "%s: %q is no role's ARN", at, text)
		}
	}
	if name, known := a.SessionName.literal(); a.SessionName.IsSet() && known && !sessionName.MatchString(name) {
		v.add(a.SessionName.At, "try: rota", "%s.session_name: 2 to 64 letters, digits and any of =,.@_-", at)
	}
	if a.Policy.IsSet() && !json.Valid([]byte(a.Policy.Text)) {
		v.add(a.Policy.At, "", "%s.policy: is no JSON", at)
	}
	connection := v.doc.Connections[s.Issuer.Connection.Text]
	chained := len(a.Chain) > 0 || connection != nil && connection.AWS != nil && connection.AWS.RoleARN.IsSet()
	switch d := a.duration(); {
	case d < aws.MinSession || d > aws.MaxSession:
		v.add(a.Duration.At, "try: 1h", "%s.duration: %s is not from 15m to 12h", at, rota.FormatDuration(d))
		return
	case chained && d > aws.MaxChained:
		v.add(a.Duration.At, "try: 1h", "%s.duration: a session that one role makes of another lasts an hour at most", at)
		return
	}
	if policy == nil {
		return
	}
	if every, most := policy.RotateEvery, (rota.Policy{}).Within(a.duration()).RotateEvery; every.IsSet() && every.Length > most {
		v.add(every.At, "try: "+rota.FormatDuration(most)+", or leave it out", "%s.policy.rotate_every: %s is too late for sessions that last %s", path, rota.FormatDuration(every.Length), rota.FormatDuration(a.duration()))
	}
	for _, held := range []struct {
		given bool
		at    Pos
		name  string
	}{
		{policy.Window != nil, policy.At, "window"}, {policy.RotateAt != nil, policy.At, "rotate_at"},
		{policy.Blackouts != nil, policy.At, "blackouts"}, {policy.ApartFrom != nil, policy.At, "apart_from"},
	} {
		if held.given {
			v.add(held.at, "try: leave it out", "%s.policy.%s: sessions end by themselves, and are renewed before, whatever the hour", path, held.name)
		}
	}
}
