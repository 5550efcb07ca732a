package secretsmanager

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/store/record"
	"github.com/rota-dev/rota/rotation"
)

const (
	maxPolicy     = 20480
	defaultPolicy = "default" // the name of the only policy that can be set
)

// policyStatement is the part of a statement that says whether a policy is
// public.
type policyStatement struct {
	Effect       string
	Principal    json.RawMessage
	NotPrincipal json.RawMessage
	Action       json.RawMessage
	NotAction    json.RawMessage
	Condition    json.RawMessage
}

// parsePolicy validates a policy's syntax, and reports whether it grants access
// to everyone.
func parsePolicy(text string) (public bool, err error) {
	bad := func(message string) error {
		return newError("MalformedPolicyDocumentException", "This resource policy contains a syntax error: "+message)
	}
	var document struct {
		Version   string
		ID        string `json:"Id"`
		Statement json.RawMessage
	}
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		return false, bad("it is not a JSON object.")
	}
	if document.Version != "" && document.Version != "2012-10-17" && document.Version != "2008-10-17" {
		return false, bad("its Version is unknown.")
	}
	var statements []policyStatement
	if bytes.HasPrefix(bytes.TrimSpace(document.Statement), []byte("{")) {
		statements = make([]policyStatement, 1)
		err = json.Unmarshal(document.Statement, &statements[0])
	} else {
		err = json.Unmarshal(document.Statement, &statements)
	}
	if err != nil || len(statements) == 0 {
		return false, bad("it needs a Statement.")
	}
	for _, st := range statements {
		switch {
		case st.Effect != "Allow" && st.Effect != "Deny":
			return false, bad("the Effect of a statement is Allow or Deny.")
		case (st.Principal == nil) == (st.NotPrincipal == nil):
			return false, bad("a statement needs a Principal.")
		case (st.Action == nil) == (st.NotAction == nil):
			return false, bad("a statement needs an Action.")
		}
		public = public || st.public()
	}
	return public, nil
}

func (st policyStatement) public() bool {
	if st.Effect != "Allow" || len(st.Condition) > 0 {
		return false
	}
	if st.NotPrincipal != nil {
		return true
	}
	return isPublicPrincipal(st.Principal)
}

// isPublicPrincipal reports whether a principal is "*", or includes it.
func isPublicPrincipal(principal json.RawMessage) bool {
	var one string
	if json.Unmarshal(principal, &one) == nil {
		return one == "*"
	}
	var list []string
	if json.Unmarshal(principal, &list) == nil {
		return slices.Contains(list, "*")
	}
	var kinds map[string]json.RawMessage
	if json.Unmarshal(principal, &kinds) != nil {
		return false
	}
	return isPublicPrincipal(kinds["AWS"])
}

func checkPolicyName(name *string) error {
	if name != nil && *name != defaultPolicy {
		return errInvalidParameter("You can only use the resource policy named default.")
	}
	return nil
}

type policyOutput struct {
	ARN            string
	Name           string
	ResourcePolicy string `json:",omitempty"`
}

type putResourcePolicyRequest struct {
	SecretID          string `json:"SecretId"`
	ResourcePolicy    string
	PolicyName        *string
	BlockPublicPolicy bool
}

func (r *putResourcePolicyRequest) check() error {
	return firstError(checkSecretID(r.SecretID), checkLength("resourcePolicy", r.ResourcePolicy, 1, maxPolicy), checkPolicyName(r.PolicyName))
}

func putResourcePolicy(ctx context.Context, s *Server, g *record.Guarded, in *putResourcePolicyRequest) (*policyOutput, error) {
	public, err := parsePolicy(in.ResourcePolicy)
	if err != nil {
		return nil, err
	}
	if public && in.BlockPublicPolicy {
		return nil, newError("PublicPolicyException", "The resource policy allows broad access to the secret, and BlockPublicPolicy refuses that.")
	}
	return s.setPolicy(ctx, g, in.SecretID, in.ResourcePolicy)
}

func (s *Server) setPolicy(ctx context.Context, g *record.Guarded, secretID, policy string) (*policyOutput, error) {
	t := s.parseID(secretID)
	var out policyOutput
	err := g.Update(ctx, t.name, record.Operation{Action: access.Write, Op: rotation.OpPolicy}, func(c *record.Change) error {
		if err := t.checkChangeable(c); err != nil {
			return err
		}
		c.Policy, c.ChangedAt = policy, c.Now
		out = policyOutput{ARN: s.ARN(c.Record), Name: c.Name}
		return nil
	})
	return &out, err
}

type resourcePolicyRequest struct {
	SecretID   string `json:"SecretId"`
	PolicyName *string
}

func (r *resourcePolicyRequest) check() error {
	return firstError(checkSecretID(r.SecretID), checkPolicyName(r.PolicyName))
}

func deleteResourcePolicy(ctx context.Context, s *Server, g *record.Guarded, in *resourcePolicyRequest) (*policyOutput, error) {
	return s.setPolicy(ctx, g, in.SecretID, "")
}

func getResourcePolicy(ctx context.Context, s *Server, g *record.Guarded, in *resourcePolicyRequest) (*policyOutput, error) {
	t := s.parseID(in.SecretID)
	r, err := g.View(ctx, t.name)
	if err != nil {
		return nil, err
	}
	return &policyOutput{ARN: s.ARN(r), Name: r.Name, ResourcePolicy: r.Policy}, t.checkUsable(r)
}

type policySummary struct{ PolicyName string }

type policyList struct{ ResourcePolicies []policySummary }

type listResourcePoliciesRequest struct {
	SecretID   string `json:"SecretId"`
	MaxResults *int64
	NextToken  string
}

func (r *listResourcePoliciesRequest) check() error {
	if r.NextToken != "" {
		return errBadToken()
	}
	return firstError(checkSecretID(r.SecretID), checkRange("maxResults", r.MaxResults, 1, maxPage))
}

func listResourcePolicies(ctx context.Context, s *Server, g *record.Guarded, in *listResourcePoliciesRequest) (*policyList, error) {
	t := s.parseID(in.SecretID)
	r, err := g.View(ctx, t.name)
	if err != nil {
		return nil, err
	}
	out := &policyList{ResourcePolicies: []policySummary{}}
	if r.Policy != "" {
		out.ResourcePolicies = append(out.ResourcePolicies, policySummary{defaultPolicy})
	}
	return out, t.checkUsable(r)
}

type validateResourcePolicyRequest struct {
	SecretID       *string `json:"SecretId"`
	ResourcePolicy string
}

func (r *validateResourcePolicyRequest) check() error {
	if r.SecretID != nil {
		if err := checkSecretID(*r.SecretID); err != nil {
			return err
		}
	}
	return checkLength("resourcePolicy", r.ResourcePolicy, 1, maxPolicy)
}

type validationError struct{ CheckName, ErrorMessage string }

type policyValidation struct {
	PolicyValidationPassed bool
	ValidationErrors       []validationError
}

func validateResourcePolicy(ctx context.Context, s *Server, g *record.Guarded, in *validateResourcePolicyRequest) (*policyValidation, error) {
	if in.SecretID != nil {
		t := s.parseID(*in.SecretID)
		r, err := g.View(ctx, t.name)
		if err != nil {
			return nil, err
		}
		if err := t.checkUsable(r); err != nil {
			return nil, err
		}
	}
	out := &policyValidation{ValidationErrors: []validationError{}}
	public, err := parsePolicy(in.ResourcePolicy)
	if e, ok := errors.AsType[*Error](err); ok {
		out.ValidationErrors = append(out.ValidationErrors, validationError{"SYNTAX", e.Message})
	} else if public {
		out.ValidationErrors = append(out.ValidationErrors, validationError{"PUBLIC_POLICY", "The resource policy allows broad access to the secret."})
	}
	out.PolicyValidationPassed = len(out.ValidationErrors) == 0
	return out, nil
}
