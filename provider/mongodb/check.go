package mongodb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/rota-dev/rota"
)

// CommandConfig is a command that must run with a new password.
type CommandConfig struct {
	// Database is where it runs. Defaults to the user's own, auth_source.
	Database string
	// JSON is the command in extended JSON, such as {"count": "orders"}.
	JSON string
}

// reading are the commands that a check may run: those that only read.
var reading = []string{"aggregate", "count", "collStats", "connectionStatus", "dbStats", "distinct", "find", "hello", "listCollections", "listDatabases", "listIndexes", "ping"}

// writing are the stages by which aggregate would write.
var writing = []string{"$out", "$merge"}

// command is a user's own check of a new password.
type command struct {
	conn     *Connection
	name     string
	database string
	words    bson.D
}

// Command returns a check that logs in with the new password and runs one command that
// must succeed.
func (c *Connection) Command(name string, cfg CommandConfig) (rota.Check, error) {
	words, err := parseCommand(cfg.JSON)
	if err != nil {
		return nil, err
	}
	return &command{conn: c, name: name, database: cfg.Database, words: words}, nil
}

// parseCommand reads a command.
func parseCommand(text string) (bson.D, error) {
	var words bson.D
	if err := bson.UnmarshalExtJSON([]byte(text), false, &words); err != nil || len(words) == 0 {
		return nil, rota.WithRemedies(errors.New("the command isn't a JSON object"), rota.Configure("", `'{"count": "orders"}'`))
	}
	if !slices.Contains(reading, words[0].Key) {
		return nil, rota.WithRemedies(fmt.Errorf("a check doesn't run %q", words[0].Key), rota.Configure("", "a command that only reads: "+strings.Join(reading, ", ")))
	}
	if stage := writes(words); stage != "" {
		return nil, rota.WithRemedies(fmt.Errorf("%s writes, and a check only reads", stage), rota.Configure("", "the pipeline without it"))
	}
	return words, nil
}

// writes is the stage in a part of a command that would write, "" if there's none.
func writes(part any) string {
	switch part := part.(type) {
	case bson.D:
		for _, e := range part {
			if slices.Contains(writing, e.Key) {
				return e.Key
			}
			if stage := writes(e.Value); stage != "" {
				return stage
			}
		}
	case bson.A:
		for _, one := range part {
			if stage := writes(one); stage != "" {
				return stage
			}
		}
	}
	return ""
}

// Name implements [rota.Check].
func (k *command) Name() string { return k.name }

// Check implements [rota.Check]. A missing privilege is of class [rota.ClassStop].
func (k *command) Check(ctx context.Context, c rota.Credential) error {
	source := c.Field(FieldAuthSource)
	if source == "" {
		source = defaultSource
	}
	database := k.database
	if database == "" {
		database = source
	}
	op := "check " + k.name + " as user " + c.Field(rota.FieldUsername) + "@" + source
	return k.conn.as(ctx, op, c, source, func(ctx context.Context, s *session) error {
		return s.run(ctx, k.conn.cfg, database, k.words, nil)
	})
}
