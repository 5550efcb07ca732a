package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
)

// Join is Enroll for a replica that starts. A configuration that was in force
// before and was replaced is not enrolled again while a living replica has the
// one in force: this replica was merely left behind.
func (db Replicas) Join(ctx context.Context, configured map[string]string) (Enrollment, error) {
	return db.join(ctx, configured, true)
}

// Follow is for a replica that runs, whose configuration has not changed, to be
// called now and then: it enrols it once no living replica has the one in force
// any more, as after a rollout that was taken back.
func (db Replicas) Follow(ctx context.Context, configured map[string]string) (Enrollment, error) {
	return db.join(ctx, configured, false)
}

func (db *core) join(ctx context.Context, configured map[string]string, starting bool) (Enrollment, error) {
	mine := configurationHash(configured)
	s, err := db.standing(ctx, mine)
	if err != nil {
		return Enrollment{}, fmt.Errorf("which configuration is in force: %w", err)
	}
	switch {
	case s.instance == "":
		// Nobody can tell who lives, for the moment or on this system at all.
		if !starting {
			return Enrollment{}, nil
		}
	case s.inForce == mine && s.registered == mine && !starting:
		return Enrollment{}, nil
	case s.inForce != mine && s.known:
		living, err := db.replicas(ctx, sqlReplicasWith, s.instance, s.inForce)
		if err != nil {
			return Enrollment{}, err
		}
		if len(living) > 0 {
			return Enrollment{Behind: true}, db.register(ctx, s, mine, false)
		}
	}
	return Queue{db}.Enroll(ctx, configured)
}

// standing is how a replica stands to the configuration in force.
type standing struct {
	instance   string // the replica's own; "" while others could not tell that it lives
	inForce    string // "" where none was ever enrolled
	registered string // what the replica is known to have; "" for nothing
	known      bool   // its configuration is or was in force
}

func (db *core) standing(ctx context.Context, hash string) (standing, error) {
	s := standing{instance: db.self.id()}
	_, err := readFrom(ctx, db.reader)(sqlStanding, []any{s.instance, hash}, &s.inForce, &s.registered, &s.known)
	return s, err
}

// register writes down which configuration this replica has, and whether that
// is in force from now on. The dead are forgotten.
func (db *core) register(ctx context.Context, s standing, hash string, inForce bool) error {
	if s.registered == hash && (!inForce || s.inForce == hash) || s.instance == "" && !inForce {
		return nil
	}
	all, err := db.column(ctx, sqlReplicas, s.instance)
	if err != nil {
		return fmt.Errorf("replicas: %w", err)
	}
	dead := slices.DeleteFunc(all, func(instance string) bool { return !db.self.dead(instance) })
	return db.writer.do(ctx, enrolLock, func(t *tx) error {
		for _, instance := range dead {
			t.later(sqlForgetReplica, instance)
		}
		if s.instance != "" {
			t.later(sqlRegister, s.instance, hash)
		}
		if inForce {
			t.later(sqlPutInForce, hash)
		}
		return nil
	})
}

// replicas are other replicas that live, or may.
func (db *core) replicas(ctx context.Context, query string, args ...any) ([]string, error) {
	all, err := db.column(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("replicas: %w", err)
	}
	return slices.DeleteFunc(all, db.self.dead), nil
}

// configurationHash names a configuration by all its secrets' fingerprints.
func configurationHash(configured map[string]string) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(configured)) {
		fmt.Fprintf(h, "%q %q\n", name, configured[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
