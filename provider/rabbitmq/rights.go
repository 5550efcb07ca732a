package rabbitmq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
)

// level is how two users get the same rights.
const level = "give both users the same tags, permissions, topic permissions and limits"

// lacks names what the other user of a pair has and this one doesn't: a consumer
// would miss it.
func (u *users) lacks(ctx context.Context, op, name string) ([]string, error) {
	for _, other := range u.names {
		if other != name {
			missing, _, err := u.compare(ctx, op, name, other)
			return missing, err
		}
	}
	return nil, nil
}

// compare names what each of two users lacks of what the other has, sorted. A limit
// that differs is lacking in both.
func (u *users) compare(ctx context.Context, op, one, other string) (oneLacks, otherLacks []string, err error) {
	first, err := u.rights(ctx, op, one)
	if err != nil {
		return nil, nil, err
	}
	second, err := u.rights(ctx, op, other)
	return without(second, first), without(first, second), err
}

// without is what the first has and the second doesn't, sorted.
func without(first, second map[string]bool) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(first)), func(right string) bool { return second[right] })
}

// limitNames are the limits that a user can have. A user without one counts as having
// none of that name, so that a limit which only one of two has is a difference.
var limitNames = []string{"max-connections", "max-channels"}

// rights are all that a user has, in words. Who isn't there has none.
func (u *users) rights(ctx context.Context, op, name string) (map[string]bool, error) {
	a, err := u.read(ctx, op, name)
	if errors.Is(err, rota.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	has := map[string]bool{}
	for _, tag := range a.tags() {
		has["tag "+tag] = true
	}
	var permissions []struct{ VHost, Exchange, Configure, Write, Read string }
	for _, kind := range []string{"permissions", "topic-permissions"} {
		if err := u.conn.get(ctx, op, path("users", name, kind), &permissions); err != nil {
			return nil, err
		}
		for _, p := range permissions {
			on := " on vhost " + p.VHost
			if kind == "topic-permissions" {
				on = " topics of exchange " + p.Exchange + on
			} else {
				has["access to vhost "+p.VHost] = true
				has[fmt.Sprintf("configure %q%s", p.Configure, on)] = true
			}
			has[fmt.Sprintf("write %q%s", p.Write, on)] = true
			has[fmt.Sprintf("read %q%s", p.Read, on)] = true
		}
		permissions = nil
	}
	var limits []struct{ Value map[string]json.Number }
	if err := u.conn.get(ctx, op, path("user-limits", name), &limits); err != nil {
		return nil, err
	}
	values := map[string]json.Number{}
	for _, l := range limits {
		maps.Copy(values, l.Value)
	}
	for _, limit := range limitNames {
		if _, limited := values[limit]; !limited {
			has["no "+limit] = true
		}
	}
	for limit, value := range values {
		has[limit+" "+value.String()] = true
	}
	return has, nil
}

// most is how many things a finding names.
const most = 5

func list(things []string) string {
	if len(things) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(things[:most], ", "), len(things)-most)
	}
	return strings.Join(things, ", ")
}
