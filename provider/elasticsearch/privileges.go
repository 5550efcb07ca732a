package elasticsearch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/httpapi"
)

// oneOrMore is a list in JSON, or one text in place of a list.
type oneOrMore []string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *oneOrMore) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*t = oneOrMore{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(t))
}

// indexPrivileges are what a role allows with some indexes.
type indexPrivileges struct {
	Names      oneOrMore `json:"names"`
	Privileges oneOrMore `json:"privileges"`
	Restricted bool      `json:"allow_restricted_indices,omitempty"`
}

// mayGive is whether Rota's user is allowed all that its keys are to be. Elasticsearch
// makes a key that is to be allowed more, without a word, and gives it less.
func (c *Connection) mayGive(ctx context.Context, descriptors string) rota.Finding {
	const check = "the user may do what its keys are to be allowed"
	var roles map[string]struct {
		Cluster        oneOrMore
		Index, Indices []indexPrivileges
	}
	if json.Unmarshal([]byte(descriptors), &roles) != nil {
		return provider.Found(check, "not tried: role_descriptors is in a form that Rota doesn't know", nil)
	}
	cluster, index := oneOrMore{}, []indexPrivileges{}
	for _, name := range slices.Sorted(maps.Keys(roles)) {
		cluster = append(cluster, roles[name].Cluster...)
		index = slices.Concat(index, roles[name].Index, roles[name].Indices)
	}
	if len(cluster)+len(index) == 0 {
		return provider.Found(check, "", nil)
	}
	var has struct {
		All     bool `json:"has_all_requested"`
		Cluster map[string]bool
		Index   map[string]map[string]bool
	}
	err := c.Do(ctx, httpapi.Request{Op: check, Method: http.MethodPost, Path: "/_security/user/_has_privileges", Body: map[string]any{"cluster": cluster, "index": index}}, &has)
	if err != nil || has.All {
		return provider.Found(check, "", err)
	}
	lacks := missing(has.Cluster)
	for _, name := range slices.Sorted(maps.Keys(has.Index)) {
		if less := missing(has.Index[name]); len(less) > 0 {
			lacks = append(lacks, strings.Join(less, " and ")+" on "+name)
		}
	}
	f := provider.Found(check, "", c.Refuse(check, fmt.Sprintf("give the user of connection %s these privileges, or take them out of role_descriptors", c.Name()),
		errors.New("it lacks "+provider.Said(strings.Join(lacks, ", "))+", so a key doesn't get that either")))
	f.Warning = true
	return f
}

// missing are the privileges that aren't there, sorted.
func missing(has map[string]bool) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(has)), func(privilege string) bool { return has[privilege] })
}
