package awstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// statement is one statement of an attached policy.
type statement struct {
	Effect           string
	Action, Resource []string
	Condition        map[string]map[string][]string
}

// AttachPolicy lets a user or a role, named by its ARN, do what a policy
// document allows, resource by resource, in addition to its existing rights.
// The document must use lists throughout, can only allow, and supports no
// condition except StringEquals on s3:prefix. Anything else in it is an error,
// and so is a principal that doesn't exist.
func (s *Server) AttachPolicy(principalARN, document string) error {
	var policy struct{ Statement []statement }
	if err := json.Unmarshal([]byte(document), &policy); err != nil {
		return fmt.Errorf("awstest: attach policy to %s: %w", principalARN, err)
	}
	for _, st := range policy.Statement {
		if st.Effect != "Allow" || len(st.Action) == 0 || len(st.Resource) == 0 {
			return fmt.Errorf("awstest: attach policy to %s: a statement that does not allow actions on resources", principalARN)
		}
		for operator, keys := range st.Condition {
			if _, ok := keys["s3:prefix"]; operator != "StringEquals" || !ok || len(keys) != 1 {
				return errors.New("awstest: attach policy to " + principalARN + ": a condition that is not played")
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.rightsOf(principalARN); !ok {
		return fmt.Errorf("awstest: attach policy: no principal %s", principalARN)
	}
	s.policies[principalARN] = slices.Concat(s.policies[principalARN], policy.Statement)
	return nil
}

// DetachPolicies removes all policies from a user or a role.
func (s *Server) DetachPolicies(principalARN string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.policies, principalARN)
}

// permits reports whether an attached policy of the principal allows an action
// on a resource.
func (s *Server) permits(principalARN, action, resource, prefix string) bool {
	return slices.ContainsFunc(s.policies[principalARN], func(st statement) bool {
		if want, ok := st.Condition["StringEquals"]["s3:prefix"]; ok && !slices.Contains(want, prefix) {
			return false
		}
		return allows(st.Action, action) && slices.ContainsFunc(st.Resource, func(pattern string) bool { return matches(pattern, resource) })
	})
}

// principal returns the ARN whose policies apply to the caller.
func (s *Server) principal(c *caller) string {
	if sess := s.sessions[c.key.id]; sess != nil {
		return sess.role.arn
	}
	return c.arn
}

// target returns the action that a call is authorized as, and the ARN of its
// resource, if the action is authorized by resource.
func (s *Server) target(x *exchange) (action, resource string) {
	action = x.service + ":" + x.action
	switch x.service {
	case "iam":
		return action, s.iamTarget(x)
	case "sts":
		return action, x.form.Get("RoleArn")
	case "sns":
		return action, x.form.Get("TopicArn")
	case "secretsmanager":
		return action, s.secretTarget(x)
	case "ssm":
		return action, "arn:aws:ssm:" + s.region + ":" + s.account + ":parameter/" + strings.TrimPrefix(x.args.Name, "/")
	case "s3":
		arn := "arn:aws:s3:::" + x.bucket
		switch x.action {
		case "HeadBucket", "ListObjectsV2":
			return "s3:ListBucket", arn
		case "ListObjectVersions":
			return "s3:ListBucketVersions", arn
		case "HeadObject":
			return "s3:GetObject", arn + "/" + x.object
		case "GetObject":
			if x.query.Has("versionId") {
				return "s3:GetObjectVersion", arn + "/" + x.object
			}
		}
		return action, arn + "/" + x.object
	}
	return action, "*"
}

func (s *Server) iamTarget(x *exchange) string {
	switch x.action {
	case "ListUsers", "GenerateCredentialReport", "GetCredentialReport", "GetAccountSummary":
		return "*"
	case "SimulatePrincipalPolicy":
		return x.form.Get("PolicySourceArn")
	}
	name := x.form.Get("UserName")
	if name == "" {
		name = s.owners[x.form.Get("AccessKeyId")]
	}
	if name == "" {
		name = x.caller.user
	}
	if u := s.users.get(name, false); u != nil {
		return u.arn
	}
	return "arn:aws:iam::" + s.account + ":user/" + name
}

// secretTarget returns a secret's ARN. If the secret doesn't exist, AWS makes
// up the random characters.
func (s *Server) secretTarget(x *exchange) string {
	if x.action == "ListSecrets" || x.action == "BatchGetSecretValue" {
		return "*"
	}
	name := x.args.Name
	if name == "" {
		name = s.secrets.now.Name(x.args.SecretID)
	}
	if state, ok := s.Secret(name); ok {
		return state.ARN
	}
	return "arn:aws:secretsmanager:" + s.region + ":" + s.account + ":secret:" + strings.TrimSpace(name) + "-MaDeUp"
}
