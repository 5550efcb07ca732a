package aws

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// MaxPolicy is how many characters a managed policy can have, not counting white
// space.
const MaxPolicy = 6144

// Policy is an IAM policy document.
type Policy struct {
	Version   string
	Statement []Statement
}

// Statement is one statement of a policy.
type Statement struct {
	Sid       string `json:",omitempty"`
	Effect    string
	Action    []string
	Resource  []string
	Condition map[string]map[string][]string `json:",omitempty"`
}

// NewPolicy returns the policy that allows what Rota needs and nothing else.
// Actions on the same resources share a statement. The order of the needs only
// affects the order of the statements.
func NewPolicy(needs []Permission, statementIDs bool) Policy {
	p := Policy{Version: "2012-10-17"}
	for _, need := range needs {
		if need.Holder != "" {
			continue
		}
		i := slices.IndexFunc(p.Statement, func(s Statement) bool {
			return s.Action[0] == need.Action && sameCondition(s.Condition, need.Condition)
		})
		if i < 0 {
			i = len(p.Statement)
			p.Statement = append(p.Statement, Statement{Sid: need.ID, Effect: "Allow", Action: []string{need.Action}, Condition: need.Condition})
		}
		if s := &p.Statement[i]; !slices.Contains(s.Resource, need.Resource) {
			s.Resource = append(s.Resource, need.Resource)
			slices.Sort(s.Resource)
		}
	}
	p.merge()
	p.name(statementIDs)
	return p
}

// merge combines statements about the same resources.
func (p *Policy) merge() {
	var merged []Statement
	for _, s := range p.Statement {
		i := slices.IndexFunc(merged, func(m Statement) bool {
			return slices.Equal(m.Resource, s.Resource) && sameCondition(m.Condition, s.Condition)
		})
		if i < 0 {
			merged = append(merged, s)
			continue
		}
		merged[i].Action = append(merged[i].Action, s.Action...)
	}
	p.Statement = merged
}

// name makes the statements' ids unique, or removes them.
func (p *Policy) name(ids bool) {
	taken := map[string]int{}
	for i := range p.Statement {
		s := &p.Statement[i]
		if !ids {
			s.Sid = ""
			continue
		}
		if taken[s.Sid]++; taken[s.Sid] > 1 {
			s.Sid += strconv.Itoa(taken[s.Sid])
		}
	}
}

func sameCondition(a, b map[string]map[string][]string) bool {
	return maps.EqualFunc(a, b, func(a, b map[string][]string) bool { return maps.EqualFunc(a, b, slices.Equal) })
}

// JSON returns the document, indented for people.
func (p Policy) JSON() ([]byte, error) { return indented(p) }

func indented(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// Size returns how many characters of [MaxPolicy] the policy takes.
func (p Policy) Size() (int, error) {
	var out bytes.Buffer
	text, err := p.JSON()
	if err != nil {
		return 0, err
	}
	if err := json.Compact(&out, text); err != nil {
		return 0, err
	}
	return out.Len(), nil
}

// Split splits the policy into policies of at most limit characters each.
func (p Policy) Split(limit int) ([]Policy, error) {
	var parts []Policy
	part := Policy{Version: p.Version}
	for _, s := range p.Statement {
		for _, resource := range s.Resource {
			grown := part.with(s, resource)
			size, err := grown.Size()
			if err != nil {
				return nil, err
			}
			if size > limit {
				if len(part.Statement) > 0 {
					parts = append(parts, part)
				}
				grown = Policy{Version: p.Version}.with(s, resource)
				if size, err = grown.Size(); err != nil || size > limit {
					return nil, fmt.Errorf("one statement alone has more than %d characters", limit)
				}
			}
			part = grown
		}
	}
	return append(parts, part), nil
}

// with returns a copy of the policy in which a statement allows one more resource.
func (p Policy) with(s Statement, resource string) Policy {
	p.Statement = slices.Clone(p.Statement)
	if n := len(p.Statement); n > 0 {
		last := &p.Statement[n-1]
		if slices.Equal(last.Action, s.Action) && sameCondition(last.Condition, s.Condition) {
			last.Resource = append(slices.Clone(last.Resource), resource)
			return p
		}
	}
	s.Resource = []string{resource}
	p.Statement = append(p.Statement, s)
	return p
}
