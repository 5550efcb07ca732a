package opentofu

import (
	"encoding/json"

	"github.com/zclconf/go-cty/cty"
)

// statement is a statement of an IAM policy.
type statement struct {
	Sid       string `json:",omitempty"`
	Effect    string
	Action    []string                       `json:",omitempty"`
	NotAction []string                       `json:",omitempty"`
	Resource  []string                       `json:",omitempty"`
	Principal map[string][]string            `json:",omitempty"`
	Condition map[string]map[string][]string `json:",omitempty"`
}

// policy is an IAM policy document.
type policy struct {
	Version   string
	Statement []statement
}

// policyDocument is the JSON of an aws_iam_policy_document.
func policyDocument(config map[string]cty.Value) (cty.Value, error) {
	document := policy{Version: "2012-10-17"}
	for _, v := range elements(config["statement"]) {
		m := v.AsValueMap()
		s := statement{
			Sid: text(m["sid"]), Effect: "Allow",
			Action: texts(m["actions"]), NotAction: texts(m["not_actions"]), Resource: texts(m["resources"]),
		}
		if effect := text(m["effect"]); effect != "" {
			s.Effect = effect
		}
		for _, p := range elements(m["principals"]) {
			if s.Principal == nil {
				s.Principal = map[string][]string{}
			}
			s.Principal[text(p.GetAttr("type"))] = texts(p.GetAttr("identifiers"))
		}
		for _, c := range elements(m["condition"]) {
			if s.Condition == nil {
				s.Condition = map[string]map[string][]string{}
			}
			test := text(c.GetAttr("test"))
			if s.Condition[test] == nil {
				s.Condition[test] = map[string][]string{}
			}
			s.Condition[test][text(c.GetAttr("variable"))] = texts(c.GetAttr("values"))
		}
		document.Statement = append(document.Statement, s)
	}
	out, err := json.Marshal(document)
	return cty.StringVal(string(out)), err
}

func elements(v cty.Value) []cty.Value {
	if v.IsNull() || !v.IsKnown() {
		return nil
	}
	return v.AsValueSlice()
}

func text(v cty.Value) string {
	if v.IsNull() || !v.IsKnown() {
		return ""
	}
	return v.AsString()
}

func texts(v cty.Value) []string {
	var all []string
	for _, e := range elements(v) {
		all = append(all, text(e))
	}
	return all
}
