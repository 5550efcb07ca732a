package mongodb

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/rota-dev/rota"
)

// connected is one of a server's connections, as $currentOp shows it.
type connected struct {
	Client string `bson:"client"`
	App    string `bson:"appName"`
}

// maxConnected is how many connections of a user are counted on one server.
const maxConnected = 1000

// LastUsed checks whether the user is logged in on any connection right now: the
// evidence is a sample of all members of a replica set. It's none if one of them can't
// be asked, or if the connection leads to a mongos: of its cluster, the others'
// connections can't be seen.
func (u *users) LastUsed(ctx context.Context, credentialID string) (rota.Use, error) {
	op := "look for connections of user " + u.at(credentialID)
	if !slices.Contains(u.names, credentialID) {
		return rota.Use{}, u.conn.stop(op, fmt.Errorf("user %q isn't one of this secret's: %w", credentialID, rota.ErrNotFound), nil)
	}
	h, err := u.conn.ask(ctx, op)
	if err != nil {
		return rota.Use{}, err
	}
	if h.mongos() {
		return rota.Use{Remedies: rota.Outside("a mongos sees only its own connections: look at the others with db.currentOp(), then have Rota retire it by hand")}, nil
	}
	found, err := u.connections(ctx, op, h, credentialID)
	if err != nil {
		return rota.Use{}, err
	}
	use := rota.Use{Evidence: rota.EvidenceSampled}
	if len(found) > 0 {
		use.At, use.Detail = time.Now().UTC(), "connections: "+describe(found)
	}
	return use, nil
}

// connections are the user's on all members that have data.
func (u *users) connections(ctx context.Context, op string, h hello, name string) ([]connected, error) {
	command := bson.D{
		{Key: "aggregate", Value: 1},
		{Key: "pipeline", Value: bson.A{
			bson.D{{Key: "$currentOp", Value: bson.D{{Key: "allUsers", Value: true}, {Key: "idleConnections", Value: true}}}},
			bson.D{{Key: "$match", Value: bson.D{{Key: "effectiveUsers", Value: bson.D{{Key: "$elemMatch", Value: bson.D{{Key: "user", Value: name}, {Key: "db", Value: u.source}}}}}}}},
			bson.D{{Key: "$limit", Value: maxConnected}},
			bson.D{{Key: "$project", Value: bson.D{{Key: "client", Value: 1}, {Key: "appName", Value: 1}}}},
		}},
		{Key: "cursor", Value: bson.D{{Key: "batchSize", Value: maxConnected}}},
	}
	type answer struct {
		Cursor struct {
			Batch []connected `bson:"firstBatch"`
		} `bson:"cursor"`
	}
	members := h.members()
	if len(members) == 0 || u.conn.cfg.Direct {
		var one answer
		err := u.conn.run(ctx, op, defaultSource, command, &one)
		return one.Cursor.Batch, err
	}
	var all []connected
	for _, member := range members {
		var one answer
		if err := u.conn.on(ctx, op, member, defaultSource, command, &one); err != nil {
			return nil, err
		}
		all = append(all, one.Cursor.Batch...)
	}
	return all, nil
}

// describe counts connections by where they come from.
func describe(found []connected) string {
	from := map[string]int{}
	for _, one := range found {
		place := ""
		if host, _, err := net.SplitHostPort(one.Client); err == nil {
			place = " from " + host
		}
		if one.App != "" {
			place += " (" + rota.Brief(rota.OneLine(one.App)) + ")"
		}
		from[place]++
	}
	var places []string
	for _, place := range slices.Sorted(maps.Keys(from)) {
		places = append(places, strconv.Itoa(from[place])+place)
	}
	return list(places)
}
