package awstest

import (
	"strconv"
	"strings"
)

// simulatePrincipalPolicy reports what Allow, CreateRole or AttachPolicy let a
// user or a role do. It ignores a bucket's list of readers, just as AWS ignores
// a bucket policy that isn't passed in.
func (s *Server) simulatePrincipalPolicy(x *exchange) (any, *apiError) {
	arn := x.form.Get("PolicySourceArn")
	rights, ok := s.rightsOf(arn)
	if !ok {
		return nil, fail(404, "NoSuchEntity", "The principal "+arn+" cannot be found.")
	}
	resources := members(x, "ResourceArns")
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	type member struct {
		EvalActionName   string
		EvalResourceName string
		EvalDecision     string
	}
	result := struct {
		IsTruncated       bool
		EvaluationResults []member `xml:"EvaluationResults>member"`
	}{}
	actions := members(x, "ActionNames")
	if len(actions) == 0 {
		return nil, fail(400, "ValidationError", "Value null at 'actionNames' failed to satisfy constraint: Member must not be null")
	}
	for _, action := range actions {
		for _, resource := range resources {
			decision := "implicitDeny"
			if allows(rights, action) || s.permits(arn, action, resource, "") {
				decision = "allowed"
			}
			result.EvaluationResults = append(result.EvaluationResults, member{action, resource, decision})
		}
	}
	return result, nil
}

// rightsOf returns what the user or role with this ARN can do.
func (s *Server) rightsOf(arn string) (actions []string, ok bool) {
	name := afterLast(arn, "/")
	if u := s.users.get(name, false); u != nil && u.arn == arn {
		return s.rights[name], true
	}
	if r := s.roles[name]; r != nil && r.arn == arn {
		return r.actions, true
	}
	return nil, false
}

// members reads a query list: Name.member.1, Name.member.2, …
func members(x *exchange, name string) (found []string) {
	for i := 1; ; i++ {
		value := strings.TrimSpace(x.form.Get(name + ".member." + strconv.Itoa(i)))
		if value == "" {
			return found
		}
		found = append(found, value)
	}
}
