package mongodb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/rota-dev/rota"
)

// level is how two users get the same rights.
const level = "give both users the same roles, mechanisms, customData and authenticationRestrictions, with db.updateUser"

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

// compare names what each of two users lacks of what the other has, sorted. A
// restriction that differs is lacking in both.
func (u *users) compare(ctx context.Context, op, one, other string) (oneLacks, otherLacks []string, err error) {
	first, err := u.rights(ctx, op, one)
	if err != nil {
		return nil, nil, err
	}
	second, err := u.rights(ctx, op, other)
	return without(second, first), without(first, second), err
}

// unshown begins the part of a right that's compared and not shown: who knows what's
// in customData.
const unshown = "\x00"

// without is what the first has and the second doesn't, sorted.
func without(first, second map[string]bool) []string {
	var missing []string
	for _, right := range slices.Sorted(maps.Keys(first)) {
		if !second[right] {
			shown, _, _ := strings.Cut(right, unshown)
			missing = append(missing, shown)
		}
	}
	return missing
}

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
	for _, r := range a.Roles {
		has["role "+r.Role+" in "+r.DB] = true
	}
	for _, mechanism := range a.passwordMechanisms() {
		has["mechanism "+mechanism] = true
	}
	for _, field := range a.custom() {
		text, err := bson.MarshalExtJSON(bson.D{field}, true, false)
		if err != nil {
			return nil, u.conn.stop(op, fmt.Errorf("the customData of user %s can't be read", a), nil)
		}
		has["customData "+field.Key+unshown+string(text)] = true
	}
	if len(a.restrictions()) == 0 { // a restriction that only one of two has is a difference
		has["no authentication restriction"] = true
	}
	for _, r := range a.restrictions() {
		has[fmt.Sprintf("logins from %s to %s", places(r.Client), places(r.Server))] = true
	}
	return has, nil
}

func places(all []string) string {
	if len(all) == 0 {
		return "anywhere"
	}
	return strings.Join(slices.Sorted(slices.Values(all)), " or ")
}

// most is how many things a finding names.
const most = 5

func list(things []string) string {
	if len(things) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(things[:most], ", "), len(things)-most)
	}
	return strings.Join(things, ", ")
}
