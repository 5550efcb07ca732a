package ssh

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/rota-dev/rota"
)

// Deactivate implements [rota.Deactivator]: it makes the key's line a comment.
func (k *keys) Deactivate(ctx context.Context, r rota.RetireRequest) error {
	return k.turn(ctx, "turn off key "+r.CredentialID, r.CredentialID, true)
}

// Reactivate implements [rota.Deactivator].
func (k *keys) Reactivate(ctx context.Context, r rota.RetireRequest) error {
	return k.turn(ctx, "turn on key "+r.CredentialID, r.CredentialID, false)
}

func (k *keys) turn(ctx context.Context, op, id string, off bool) error {
	if off {
		if err := k.checkOwn(op, id); err != nil {
			return err
		}
	}
	var mu sync.Mutex
	var key ssh.PublicKey
	err := k.edit(ctx, op, rota.Credential{}, func(_ *node, lines []keyLine) ([]keyLine, error) {
		mu.Lock()
		defer mu.Unlock()
		if found := find(lines, id); found != nil {
			key = found
		}
		return turn(lines, id, off), nil
	})
	switch {
	case err != nil:
		return err
	case key == nil:
		return &rota.Error{System: k.c.system(), Connection: k.c.name, Op: op, Class: rota.ClassStop, Err: fmt.Errorf("%w: no host has it", rota.ErrNotFound)}
	case off:
		return k.letsNobodyIn(ctx, op, key)
	}
	return nil
}

// checkOwn refuses to turn off the key that Rota itself logs in with.
func (k *keys) checkOwn(op, id string) error {
	if !k.c.logsInWith(k.cfg.User, id) {
		return nil
	}
	return k.c.stop(op, fmt.Errorf("connection %s logs in as %s with this key, so Rota would lock itself out", k.c.name, k.cfg.User),
		rota.Configure("private_key", "a private_key of its own for the connection, or the file that gets the current key"))
}

// letsNobodyIn makes sure that a key that was turned off doesn't log in: sshd may
// read more files, and a program may print keys as well.
func (k *keys) letsNobodyIn(ctx context.Context, op string, key ssh.PublicKey) error {
	return k.c.each(ctx, op, func(ctx context.Context, n *node) error {
		in, err := n.accepts(ctx, k.cfg.User, key)
		if err != nil {
			return k.c.failed(ctx, n.at(op), err)
		}
		if len(in) > 0 {
			return k.c.stop(n.at(op), fmt.Errorf("the key is off in %s, but the host still accepts it", k.place.shown()),
				rota.Outside("remove the key from the other file that sshd reads (AuthorizedKeysFile), or from what AuthorizedKeysCommand prints: sshd -T -C user="+k.cfg.User+" on the host names them"))
		}
		return nil
	})
}

// Delete implements [rota.Issuer]: it removes the key's line on every host. One
// that's active on any of them is left alone.
func (k *keys) Delete(ctx context.Context, r rota.RetireRequest) error {
	op := "remove key " + r.CredentialID
	if err := k.checkOwn(op, r.CredentialID); err != nil {
		return err
	}
	var mu sync.Mutex
	var key ssh.PublicKey
	active := false
	if err := k.look(ctx, op, func(_ *node, lines []keyLine) {
		_, on := has(lines, r.CredentialID)
		mu.Lock()
		defer mu.Unlock()
		active = active || on
		if found := find(lines, r.CredentialID); found != nil {
			key = found
		}
	}); err != nil || key == nil {
		return err
	}
	stillActive := &rota.Error{System: k.c.system(), Connection: k.c.name, Op: op, Class: rota.ClassStop, Err: fmt.Errorf("%w: it's active", rota.ErrConflict)}
	if active {
		return stillActive
	}
	if err := k.letsNobodyIn(ctx, op, key); err != nil {
		return err
	}
	return k.edit(ctx, op, rota.Credential{}, func(n *node, lines []keyLine) ([]keyLine, error) {
		if _, active := has(lines, r.CredentialID); active {
			return nil, stillActive // since we looked
		}
		return remove(lines, r.CredentialID), nil
	})
}
