package mongodb

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/rota-dev/rota/provider"
)

// hello is what a server says about itself.
type hello struct {
	SetName string   `bson:"setName"`
	Hosts   []string `bson:"hosts"`
	Passive []string `bson:"passives"`
	Message string   `bson:"msg"` // "isdbgrid" for a mongos
	Version struct {
		Process bson.ObjectID `bson:"processId"`
	} `bson:"topologyVersion"`
}

// mongos reports whether it's a router of a sharded cluster.
func (h hello) mongos() bool { return h.Message == "isdbgrid" }

// members are those of the replica set that have data, so that consumers can use them.
func (h hello) members() []string { return slices.Concat(h.Hosts, h.Passive) }

// ask asks the primary about itself.
func (c *Connection) ask(ctx context.Context, op string) (h hello, err error) {
	err = c.run(ctx, op, defaultSource, bson.D{{Key: "hello", Value: 1}}, &h)
	return h, err
}

var _ provider.Identifier = (*Connection)(nil)

// Identity implements [provider.Identifier]: a sharded cluster's id, which any of its
// routers reads from its configuration, or else the primary's process, which gives
// itself a random id when it starts.
func (c *Connection) Identity(ctx context.Context) (string, error) {
	const op = "identify the deployment"
	h, err := c.ask(ctx, op)
	if err != nil {
		return "", err
	}
	if !h.mongos() {
		if h.Version.Process.IsZero() {
			return "", nil
		}
		return strings.Join([]string{"process", h.SetName, hex.EncodeToString(h.Version.Process[:])}, "\x00"), nil
	}
	var found struct {
		Cursor struct {
			Batch []struct {
				Cluster bson.ObjectID `bson:"clusterId"`
			} `bson:"firstBatch"`
		} `bson:"cursor"`
	}
	if err := c.run(ctx, op, "config", bson.D{{Key: "find", Value: "version"}, {Key: "limit", Value: 1}}, &found); err != nil {
		return "", err
	}
	for _, version := range found.Cursor.Batch {
		if !version.Cluster.IsZero() {
			return "cluster\x00" + version.Cluster.Hex(), nil
		}
	}
	return "", nil
}

// on runs a command with Rota's own login on one member of a replica set.
func (c *Connection) on(ctx context.Context, op, member, database string, command bson.D, answer any) error {
	ctx, cancel := c.deadline(ctx)
	defer cancel()
	op = fmt.Sprintf("%s on member %s", op, member)
	s, err := c.connect(ctx, c.rotas(), member, 1)
	if err != nil {
		return c.failed(ctx, op, err, nil)
	}
	defer s.close()
	return c.failed(ctx, op, s.run(ctx, c.cfg, database, command, answer), s)
}
