package function

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/aws"
	"github.com/rota-dev/rota/rotation"
)

// journal is the progress of one invocation, in memory. What must outlive it is
// in the store: milestones are labels, and intents, which nothing else can
// show, are in a tag. Its leases hold within this process; across processes,
// the labels' compare-and-swap decides, and the function's reserved concurrency
// allows one invocation at a time.
type journal struct {
	now     func() time.Time
	log     *slog.Logger
	onEntry func(rotation.Entry) // gets every entry, for the metrics

	mu      sync.Mutex
	secrets map[string]*secretProgress
}

// secretProgress is what's known about one secret.
type secretProgress struct {
	tags     aws.Tagger // nil if the store has none
	busy     bool
	fence    int64
	loaded   bool
	intents  string // as stored in the tag
	progress rotation.Progress
}

var _ rotation.Journal = (*journal)(nil)

// add adds a secret to the journal.
func (j *journal) add(s *rotation.Secret) {
	j.mu.Lock()
	defer j.mu.Unlock()
	tags, _ := s.Store.(aws.Tagger)
	j.secrets[s.Name] = &secretProgress{tags: tags}
}

// reported reports whether a turn has sent an event about a hold or a failure.
func (j *journal) reported() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, k := range j.secrets {
		if k.progress.Trouble != "" {
			return true
		}
	}
	return false
}

func (j *journal) secret(secret string) *secretProgress {
	j.mu.Lock()
	defer j.mu.Unlock()
	k := j.secrets[secret]
	if k == nil {
		k = &secretProgress{}
		j.secrets[secret] = k
	}
	return k
}

// Acquire implements [rotation.Journal].
func (j *journal) Acquire(_ context.Context, r rotation.AcquireRequest) (rotation.Lease, error) {
	k := j.secret(r.Secret)
	j.mu.Lock()
	defer j.mu.Unlock()
	if k.busy {
		return rotation.Lease{}, &rota.Error{Op: "take the lease of " + r.Secret, Class: rota.ClassWait, Err: rota.ErrBusy}
	}
	k.busy = true
	k.fence++
	return rotation.Lease{Secret: r.Secret, Holder: r.Holder, Fence: k.fence, TTL: r.TTL, Expires: j.now().Add(r.TTL)}, nil
}

// Release implements [rotation.Journal].
func (j *journal) Release(_ context.Context, l rotation.Lease) error {
	k := j.secret(l.Secret)
	j.mu.Lock()
	defer j.mu.Unlock()
	if k.fence == l.Fence {
		k.busy = false
	}
	return nil
}

// Load implements [rotation.Journal]. It is called by the lease's holder, or
// for a read-only look. Nobody can pause a function's secret, its journal is
// never restored, and its secrets have no peers: apart_from needs a database
// that all of them share.
func (j *journal) Load(ctx context.Context, secret string, _ ...string) (rotation.Snapshot, error) {
	k := j.secret(secret)
	j.mu.Lock()
	loaded, tags := k.loaded, k.tags
	j.mu.Unlock()
	var text string
	if !loaded && tags != nil {
		all, err := tags.Tags(ctx)
		if err != nil {
			return rotation.Snapshot{}, err
		}
		text = all[intentTag]
	}
	intents, err := decodeIntents(text)
	if err != nil {
		return rotation.Snapshot{}, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if !k.loaded {
		k.loaded, k.intents, k.progress.Intents = true, text, intents
	}
	return rotation.Snapshot{Progress: k.progress}, nil
}

// Save implements [rotation.Journal]. It writes the tag first; only then is the
// call made that the intent is about.
func (j *journal) Save(ctx context.Context, r rotation.SaveRequest) error {
	k := j.secret(r.Lease.Secret)
	j.mu.Lock()
	lost, before, tags := k.fence != r.Lease.Fence || !k.busy, k.intents, k.tags
	j.mu.Unlock()
	if lost {
		return &rota.Error{Op: "save progress of " + r.Lease.Secret, Class: rota.ClassStop, Err: rota.ErrFenced}
	}
	intents, err := encodeIntents(r.Progress.Intents)
	if err != nil {
		return err
	}
	if intents != before {
		if err := writeIntentTag(ctx, tags, intents); err != nil {
			return fmt.Errorf("store the intent: %w", err)
		}
	}
	for _, e := range r.Entries {
		j.log.InfoContext(ctx, "audit", "step", e.Step, "outcome", e.Outcome, "secret", e.Secret, "version", e.Version,
			"credential", e.Credential, "object", e.Object, "actor", e.Actor, "detail", e.Detail)
		j.onEntry(e)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	k.intents, k.progress, k.loaded = intents, r.Progress, true
	k.busy = !r.Release
	return nil
}

// writeIntentTag writes the tag, or removes it. A store without tags never gets
// here with an intent, because it has no issuer that chooses values.
func writeIntentTag(ctx context.Context, tags aws.Tagger, intents string) error {
	switch {
	case tags == nil:
		return &rota.Error{Class: rota.ClassStop, Remedies: rota.Outside("use a store in Secrets Manager"), Err: fmt.Errorf("the secret's store has no tags")}
	case intents == "":
		return tags.RemoveTag(ctx, intentTag)
	}
	return tags.SetTag(ctx, intentTag, intents)
}
