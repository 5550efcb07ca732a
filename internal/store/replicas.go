package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
)

// Join is Enroll for a replica that starts. A configuration that used to be
// active is not enrolled again while a live replica has the active one: this
// replica was merely left behind.
func (db Replicas) Join(ctx context.Context, configured map[string]string) (Enrollment, error) {
	return db.join(ctx, configured, true)
}

// Follow is called now and then by a running replica whose configuration hasn't
// changed. It enrolls that configuration once no live replica has the active
// one any more, as after a rollout that was rolled back.
func (db Replicas) Follow(ctx context.Context, configured map[string]string) (Enrollment, error) {
	return db.join(ctx, configured, false)
}

func (db *core) join(ctx context.Context, configured map[string]string, starting bool) (Enrollment, error) {
	mine := configurationHash(configured)
	s, err := db.replicaState(ctx, mine)
	if err != nil {
		return Enrollment{}, fmt.Errorf("active configuration: %w", err)
	}
	switch {
	case s.instance == "":
		// Nobody can tell which processes are alive, at the moment or on this
		// system at all.
		if !starting {
			return Enrollment{}, nil
		}
	case s.active == mine && s.registered == mine && !starting:
		return Enrollment{}, nil
	case s.active != mine && s.wasActive:
		living, err := db.liveReplicas(ctx, sqlReplicasWith, s.instance, s.active)
		if err != nil {
			return Enrollment{}, err
		}
		if len(living) > 0 {
			return Enrollment{Behind: true}, db.register(ctx, s, mine, false)
		}
	}
	return Queue{db}.Enroll(ctx, configured)
}

// replicaState is how a replica relates to the active configuration.
type replicaState struct {
	instance   string // the replica's own; "" while others couldn't tell that it's alive
	active     string // "" if none was ever enrolled
	registered string // what the replica last registered; "" for nothing
	wasActive  bool   // its configuration is or was active
}

func (db *core) replicaState(ctx context.Context, hash string) (replicaState, error) {
	s := replicaState{instance: db.liveness.id()}
	_, err := readFrom(ctx, db.reader)(sqlReplicaState, []any{s.instance, hash}, &s.active, &s.registered, &s.wasActive)
	return s, err
}

// register records which configuration this replica has, and whether it becomes
// the active one. Dead replicas are removed.
func (db *core) register(ctx context.Context, s replicaState, hash string, inForce bool) error {
	if s.registered == hash && (!inForce || s.active == hash) || s.instance == "" && !inForce {
		return nil
	}
	all, err := db.readStrings(ctx, sqlReplicas, s.instance)
	if err != nil {
		return fmt.Errorf("replicas: %w", err)
	}
	dead := slices.DeleteFunc(all, func(instance string) bool { return !db.liveness.dead(instance) })
	return db.writer.do(ctx, enrollLock, func(t *tx) error {
		for _, instance := range dead {
			t.enqueue(sqlForgetReplica, instance)
		}
		if s.instance != "" {
			t.enqueue(sqlRegister, s.instance, hash)
		}
		if inForce {
			t.enqueue(sqlActivate, hash)
		}
		return nil
	})
}

// liveReplicas are the other replicas that are alive, or may be.
func (db *core) liveReplicas(ctx context.Context, query string, args ...any) ([]string, error) {
	all, err := db.readStrings(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("replicas: %w", err)
	}
	return slices.DeleteFunc(all, db.liveness.dead), nil
}

// configurationHash identifies a configuration by the fingerprints of all its
// secrets.
func configurationHash(configured map[string]string) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(configured)) {
		fmt.Fprintf(h, "%q %q\n", name, configured[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
