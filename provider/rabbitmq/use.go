package rabbitmq

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// LastUsed checks whether the user has open connections right now: the evidence is a
// sample. It's none if a part of the cluster can't be seen.
func (u *users) LastUsed(ctx context.Context, credentialID string) (rota.Use, error) {
	op := "look for connections of user " + credentialID
	if !slices.Contains(u.names, credentialID) {
		return rota.Use{}, u.conn.stop(op, fmt.Errorf("user %q isn't one of this secret's: %w", credentialID, rota.ErrNotFound), nil)
	}
	if blind, err := u.conn.blind(ctx, op); err != nil || blind != "" {
		return rota.Use{Remedies: rota.Outside(blind)}, err
	}
	var open []struct {
		User string `json:"user"`
		Host string `json:"peer_host"`
	}
	if err := u.conn.get(ctx, op, "/connections?columns=user,peer_host", &open); err != nil {
		return rota.Use{}, err
	}
	use, from := rota.Use{Evidence: rota.EvidenceSampled}, map[string]int{}
	for _, one := range open {
		if one.User == "" { // it's opening, or its statistics have yet to come
			return rota.Use{}, nil
		}
		if one.User == credentialID {
			use.At = time.Now().UTC()
			from[one.Host]++
		}
	}
	var places []string
	for _, host := range slices.Sorted(maps.Keys(from)) {
		place := strconv.Itoa(from[host])
		if host != "" { // a node without statistics doesn't say
			place += " from " + host
		}
		places = append(places, place)
	}
	if len(places) > 0 {
		use.Detail = "connections: " + list(places)
	}
	return use, nil
}

// blind says what makes all connections visible, "" if they are: a node that's down
// or cut off may have some that aren't listed.
func (c *Connection) blind(ctx context.Context, op string) (string, error) {
	var nodes []struct {
		Name       string   `json:"name"`
		Running    bool     `json:"running"`
		Partitions []string `json:"partitions"`
	}
	if err := c.get(ctx, op, "/nodes?columns=name,running,partitions", &nodes); err != nil {
		return "", err
	}
	for _, n := range nodes {
		if !n.Running {
			return fmt.Sprintf("start node %s, or rabbitmqctl forget_cluster_node %s if it's gone for good", n.Name, n.Name), nil
		}
		if len(n.Partitions) > 0 {
			return "end the network partition between " + n.Name + " and " + strings.Join(n.Partitions, ", "), nil
		}
	}
	return "", nil
}

var _ provider.Identifier = (*Connection)(nil)

// Identity implements [provider.Identifier]: the id that a cluster gives itself, with
// the names of its nodes, because a copy of the definitions may have the same id.
func (c *Connection) Identity(ctx context.Context) (string, error) {
	const op = "identify the cluster"
	var id struct {
		Value string `json:"value"`
	}
	if err := c.get(ctx, op, "/global-parameters/internal_cluster_id", &id); err != nil {
		return "", err
	}
	var nodes []struct {
		Name string `json:"name"`
	}
	if err := c.get(ctx, op, "/nodes?columns=name", &nodes); err != nil {
		return "", err
	}
	all := []string{id.Value}
	for _, n := range nodes {
		all = append(all, n.Name)
	}
	slices.Sort(all[1:])
	return strings.Join(all, "\x00"), nil
}
