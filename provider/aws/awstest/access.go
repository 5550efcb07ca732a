package awstest

import (
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota/internal/sigv4"
)

// caller is the principal that signed a request.
type caller struct {
	key     *accessKey
	user    string   // "" if not an IAM user
	arn, id string   // as in GetCallerIdentity
	root    bool     // can do everything
	actions []string // a role's rights
}

// newKey tracks the eventual consistency of a new access key.
type newKey struct {
	calls     int // calls made with it so far
	failFirst int
}

const (
	unsureCalls = 10 // how many calls after the first refusals can still be refused
	unsureOneIn = 5
)

// SetPropagation makes access keys created from now on eventually consistent.
// The first newKeyFailsFor calls with such a key fail as if it didn't exist,
// and each of the next ten calls fails with a probability of one in five. 0,
// the default, makes new keys valid immediately.
func (s *Server) SetPropagation(newKeyFailsFor int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failNew = newKeyFailsFor
}

// authenticate finds the key that signed the request and verifies the
// signature.
func (s *Server) authenticate(x *exchange) (*caller, *apiError) {
	unknown := fail(403, codeUnknown, "The security token included in the request is invalid.")
	if x.service == "s3" {
		unknown.Message = "The AWS Access Key Id you provided does not exist in our records."
	}
	who, token := s.lookup(x.auth.KeyID)
	if who == nil || !who.key.active || s.notYet(x.auth.KeyID) {
		return nil, unknown
	}
	key := sigv4.Key{Secret: who.key.secret, Token: token}
	if e := signatureError(x.service, verifier.Check(x.http, x.body, x.auth, key)); e != nil {
		return nil, e
	}
	if sess := s.sessions[x.auth.KeyID]; sess != nil && !s.now().Before(sess.expires) {
		return nil, fail(403, codeExpired, "The security token included in the request is expired")
	}
	return who, nil
}

// lookup returns the owner of a key id and the corresponding session token.
func (s *Server) lookup(keyID string) (who *caller, token string) {
	if keyID == s.rootKey.id {
		return &caller{key: &s.rootKey, arn: "arn:aws:iam::" + s.account + ":root", id: s.account, root: true}, ""
	}
	if sess := s.sessions[keyID]; sess != nil {
		return &caller{key: &sess.key, arn: sess.arn, id: sess.id, actions: sess.role.actions}, sess.token
	}
	u := s.users.get(s.owners[keyID], false)
	if u == nil {
		return nil, ""
	}
	key := u.key(keyID)
	if key == nil {
		return nil, ""
	}
	return &caller{key: key, user: u.name, arn: u.arn, id: u.id, actions: s.rights[u.name]}, ""
}

// notYet counts a call with a new key and reports whether to refuse it.
func (s *Server) notYet(keyID string) bool {
	k := s.newKeys[keyID]
	if k == nil {
		return false
	}
	k.calls++
	switch {
	case k.calls <= k.failFirst:
		return true
	case k.calls <= k.failFirst+unsureCalls:
		return s.rand.IntN(unsureOneIn) == 0
	}
	delete(s.newKeys, keyID)
	return false
}

// authorize checks that the caller can do what the request asks. Buckets have
// their own lists of readers.
func (s *Server) authorize(x *exchange) *apiError {
	if x.service == "secretsmanager" && x.action == "CreateSecret" && len(x.args.Tags) > 0 {
		const tag = "secretsmanager:TagResource"
		if e := s.may(x, tag, tag, s.secretTarget(x)); e != nil {
			return e
		}
	}
	permission, resource := s.target(x)
	return s.may(x, x.service+":"+x.action, permission, resource)
}

// may checks an action on a resource. Policies name the action by its
// permission.
func (s *Server) may(x *exchange, action, permission, resource string) *apiError {
	switch {
	case s.permits(s.principal(x.caller), permission, resource, x.query.Get("prefix")):
		return nil
	case x.caller.root, action == "sts:GetCallerIdentity", allows(x.caller.actions, action):
		return nil
	case x.service == "s3" && s.reads(x):
		return nil
	case x.service == "s3":
		return fail(403, codeDenied, "Access Denied")
	}
	return fail(403, codeDenied, "User: "+x.caller.arn+" is not authorized to perform: "+permission)
}

// allows matches an action against patterns such as "iam:*AccessKey*" or "*".
// Like IAM, it ignores case.
func allows(patterns []string, action string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		return matches(strings.ToLower(pattern), strings.ToLower(action))
	})
}

// matches implements IAM's wildcards: * matches any run of characters, ?
// exactly one.
func matches(pattern, s string) bool {
	star, mark := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// use is one use of an access key.
type use struct {
	at              time.Time
	service, region string
}

// recordUse records a use of a user's key. Denied requests count too: AWS
// reports the last request made with the key, whatever its outcome.
func (s *Server) recordUse(x *exchange) {
	if x.caller.user != "" {
		s.addUse(x.auth.KeyID, use{at: s.now(), service: x.service, region: x.auth.Region})
	}
}

func (s *Server) addUse(keyID string, u use) {
	uses := append(s.reported(keyID), u)
	s.uses[keyID] = uses
}

// reported drops uses superseded by a newer, already reported use. It returns
// the rest: the last reported use, if any, and those that the lag still holds
// back.
func (s *Server) reported(keyID string) []use {
	uses := s.uses[keyID]
	now := s.now()
	for len(uses) > 1 && !uses[1].at.Add(s.lag).After(now) {
		uses = uses[1:]
	}
	return uses
}

// lastUse returns the last use that is reported by now.
func (s *Server) lastUse(keyID string) (use, bool) {
	uses := s.reported(keyID)
	if len(uses) == 0 || uses[0].at.Add(s.lag).After(s.now()) {
		return use{}, false
	}
	return uses[0], true
}
