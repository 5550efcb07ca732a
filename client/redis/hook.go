package redis

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/rota-dev/rota/client/internal/logins"
)

// login notices a refused login of a version that was accepted before, and sends the
// command again: it failed before it was sent.
type login struct{ proven *logins.Logins }

// DialHook implements [redis.Hook].
func (*login) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements [redis.Hook].
func (l *login) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		err := next(ctx, command)
		if !l.mayHelp(err) || logsIn(command) {
			return err
		}
		l.proven.Forget()
		return next(ctx, command)
	}
}

// ProcessPipelineHook implements [redis.Hook].
func (l *login) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		err := next(ctx, commands)
		if !l.mayHelp(err) || !unsent(commands) {
			return err
		}
		l.proven.Forget()
		return next(ctx, commands)
	}
}

// unsent reports whether a refusal is that of the pipeline's connection: then all
// commands have it, or, since it isn't an answer to one of them, none has.
func unsent(commands []redis.Cmder) bool {
	failed := 0
	for _, c := range commands {
		switch err := c.Err(); {
		case logsIn(c), err != nil && !Refused(err):
			return false
		case err != nil:
			failed++
		}
	}
	return failed == 0 || failed == len(commands)
}

// refusedTrial is the refusal of a version that was tried just now.
type refusedTrial struct{ error }

func (e *refusedTrial) Unwrap() error { return e.error }

// mayHelp reports whether trying the login may help.
func (*login) mayHelp(err error) bool {
	_, tried := errors.AsType[*refusedTrial](err)
	return Refused(err) && !tried
}

// logsIn reports whether a command is a login itself, whose refusal is the caller's.
func logsIn(c redis.Cmder) bool { return c.Name() == "auth" || c.Name() == "hello" }
