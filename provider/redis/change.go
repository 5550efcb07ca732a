package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/rota-dev/rota"
)

// persistence asks a server where it keeps its users, unless rota.yaml says so.
func (n *node) persistence(ctx context.Context) (Persist, error) {
	if n.c.cfg.Persist != PersistAsk {
		return n.c.cfg.Persist, nil
	}
	settings, err := n.client.ConfigGet(ctx, "aclfile").Result()
	if err != nil {
		return "", err
	}
	if settings["aclfile"] != "" {
		return PersistACL, nil
	}
	f, err := n.info(ctx)
	if err != nil {
		return "", err
	}
	if f["config_file"] != "" {
		return PersistConfig, nil
	}
	return "", errForgets
}

// errForgets means that a server has no file to keep users in.
var errForgets = errors.New("the server keeps its users in memory only, and would forget a new password when it restarts")

// command writes the users to the server's file; nil if that's left to others.
func (p Persist) command() []any {
	switch p {
	case PersistACL:
		return []any{"acl", "save"}
	case PersistConfig:
		return []any{"config", "rewrite"}
	}
	return nil
}

// change adds a password to a user or removes one, and has the server write that
// down. Both commands are sent at once, so that an interruption of Rota's own can't
// come between them. If the server can't write, the change is undone: what it says
// must be what it still says after a restart.
func (n *node) change(ctx context.Context, op, user, modifier, undo string, used ...rota.Credential) error {
	persist, err := n.persistence(ctx)
	if err != nil {
		return n.c.failed(ctx, op, err, used...)
	}
	pipe := n.client.Pipeline()
	changed := pipe.Do(ctx, "acl", "setuser", user, modifier)
	var saved *redis.Cmd
	if command := persist.command(); command != nil {
		saved = pipe.Do(ctx, command...)
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	if err := changed.Err(); err != nil && !removed(err) {
		return n.c.failed(ctx, op, err, used...)
	}
	if saved == nil || saved.Err() == nil {
		return nil
	}
	failed := n.c.failed(ctx, op+", and write that to the server's file", saved.Err(), used...)
	if answer(saved.Err()) == "" {
		return failed // no answer: the server may well have written it, and the next attempt will
	}
	if err := n.client.Do(ctx, "acl", "setuser", user, undo).Err(); err != nil && !removed(err) {
		return errors.Join(failed, n.c.failed(ctx, "undo that", err, used...))
	}
	return failed
}

// save has the server write down what users it has.
func (n *node) save(ctx context.Context, op string) error {
	persist, err := n.persistence(ctx)
	if errors.Is(err, errForgets) {
		return nil // there's nothing to write to
	}
	if command := persist.command(); err == nil && command != nil {
		err = n.client.Do(ctx, command...).Err()
	}
	return n.c.failed(ctx, op+", and write that to the server's file", err)
}

// removed reports whether a password can't be removed because it's gone already.
func removed(err error) bool {
	return strings.Contains(answer(err), "password you are trying to remove from the user does not exist")
}

// persistRemedies are what a person can do about a file that can't be written.
func persistRemedies(text string) []rota.Remedy {
	switch {
	case strings.Contains(text, "not configured to use an ACL file"):
		return rota.Outside("persist: config_file, or an aclfile for the server")
	case strings.Contains(text, "running without a config file"):
		return rota.Outside("persist: acl_file, or start the server with a configuration file")
	case strings.Contains(text, "Rewriting config file"), strings.Contains(text, "trying to save the ACLs"):
		return rota.Outside("let the server's own user write to the file and its folder, and see the server's log")
	}
	return nil
}

// describe says where a server keeps its users.
func (p Persist) describe() string {
	switch p {
	case PersistACL:
		return "it has an ACL file, which ACL SAVE writes"
	case PersistConfig:
		return "it has a configuration file, which CONFIG REWRITE writes"
	}
	return fmt.Sprintf("persist is %s: what starts the server must give the user the current password", PersistNone)
}
