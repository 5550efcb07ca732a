package redis

import (
	"context"
	"errors"
	"strings"

	"github.com/rota-dev/rota"
)

// command is a user's own check of a new password.
type command struct {
	conn *Connection
	name string
	args []any
}

// Command returns a check that logs in with the new password and runs one command
// that must succeed, at the first of the connection's servers.
func (c *Connection) Command(name, text string) (rota.Check, error) {
	var args []any
	for word := range strings.FieldsSeq(text) {
		args = append(args, word)
	}
	if len(args) == 0 {
		return nil, errors.New("the command is empty")
	}
	return &command{conn: c, name: name, args: args}, nil
}

// Name implements [rota.Check].
func (k *command) Name() string { return k.name }

// Check implements [rota.Check]. A missing permission is of class [rota.ClassStop].
func (k *command) Check(ctx context.Context, c rota.Credential) error {
	ctx, cancel := k.conn.deadline(ctx)
	defer cancel()
	op := "check " + k.name + " as user " + c.Field(rota.FieldUsername)
	n := k.conn.nodes[0]
	return k.conn.refused(ctx, n.at(op), n.login(ctx, c, k.args...), c)
}
