package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/provider/aws"
	"github.com/rota-dev/rota/provider/aws/awstest"
	"github.com/rota-dev/rota/provider/file"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

const (
	iamUser    = "prod-cms"
	otherUser  = "other"
	otherName  = "prod/other"
	bucketName = "cms"
)

var policy = rotation.Policy{RotateEvery: 90 * rota.Day, DeactivatePreviousAfter: 10 * rota.Day, DeletePreviousAfter: 20 * rota.Day}

func TestIAMKeysThroughEveryFault(t *testing.T) {
	t.Parallel()
	matrix(t, "IAM keys", 384, // which wait for the SDK's backoff most of the time
		life{name: "a key from its first issue", build: newIAM, loses: true, steps: []step{
			{name: "day 0", done: isIssued},
			{name: "day 90", after: 90 * rota.Day, done: isRotated},
			{name: "day 100", after: 10 * rota.Day, grace: true, done: isDeactivated},
			{name: "day 110", after: 10 * rota.Day, grace: true, done: isDeleted},
			{name: "day 180", after: 70 * rota.Day, done: isRotated},
			{name: "day 190", after: 10 * rota.Day, grace: true, done: isDeactivated},
			{name: "day 192, rolled back", after: 2 * rota.Day, ask: rollBack, done: isRolledBack},
		}},
		life{name: "a key that is adopted", build: newAdopted, loses: true, steps: []step{
			{name: "adoption", ask: adopt, done: isOurs},
			{name: "a rotation by hand", after: 20 * rota.Day, ask: rotateNow, done: isRotated},
			{name: "the adopted key's end", after: 11 * rota.Day, grace: true, done: isDeactivated},
			{name: "the adopted key's deletion", after: 10 * rota.Day, grace: true, done: isDeleted},
		}},
	)
}

// isOurs is seen at the version, which look returns instead of the key's id
// while it isn't Rota's.
func isOurs(m moment) error {
	if m.current == m.before {
		return errors.New("the key is not adopted")
	}
	return nil
}

// iamScene is an IAM user, its secret in Secrets Manager, a file that gets the
// key, and consumers that read the file when told to.
type iamScene struct {
	w      *world
	aws    *awstest.Server
	topic  string
	dir    string
	path   string
	extra  map[string]any // what else is in the secret
	others map[string]any // everything foreign, as it was initially

	mu     sync.Mutex
	data   rotation.Journal // Rota's own store if a process dies, else in memory
	db     *store.DB        // that store; nil in memory
	folder int              // how many data folders there have been
	served credential       // what the consumers hold
	before credential       // what consumers hold that haven't picked up the last one
	until  time.Time        // how long that must work
}

// credential is a key in the secret's own format.
type credential struct {
	ID     string `json:"access-id"`
	Secret string `json:"secret-key"`
}

func newIAM(t testing.TB, w *world) scene { return newIAMScene(t, w) }

func newIAMScene(t testing.TB, w *world) *iamScene {
	server, err := awstest.New(awstest.Options{Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(memoryDisk(), "rota-crash-")
	if err != nil {
		t.Fatal(err)
	}
	s := &iamScene{w: w, aws: server, dir: dir, path: filepath.Join(dir, "key.json"), topic: server.CreateTopic("rotations")}
	server.CreateUser(iamUser)
	server.CreateUser(otherUser)
	server.CreateBucket(bucketName, iamUser)
	for range 2 {
		if _, _, err := server.CreateAccessKey(otherUser); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := server.CreateSecret(otherName, `{"a":"b"}`); err != nil {
		t.Fatal(err)
	}
	server.SetPropagation(2)
	s.others = s.foreign()
	server.SetFaults(w.wire)
	return s
}

// newAdopted has a key that a person created, in a secret with other fields.
func newAdopted(t testing.TB, w *world) scene {
	s := newIAMScene(t, w)
	id, secret, err := s.aws.CreateAccessKey(iamUser)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`{"bucket": "cms", "access-id": %q, "ports": [1, 2], "secret-key": %q, "nested": {"x": null}}`, id, secret)
	if _, _, err := s.aws.CreateSecret(secretName, text); err != nil {
		t.Fatal(err)
	}
	s.extra = map[string]any{"bucket": "cms", "ports": []any{1.0, 2.0}, "nested": map[string]any{"x": nil}}
	s.served = credential{id, secret}
	if err := os.WriteFile(s.path, fmt.Appendf(nil, `{"access_key_id": %q, "secret_access_key": %q}`, id, secret), 0o600); err != nil {
		t.Fatal(err)
	}
	w.pass(200 * rota.Day)
	return s
}

// foreign is everything that isn't Rota's business.
func (s *iamScene) foreign() map[string]any {
	text, _ := s.aws.SecretText(otherName, "AWSCURRENT")
	return map[string]any{"keys": fmt.Sprint(s.aws.Keys(otherUser)), "labels": fmt.Sprint(s.aws.Labels(otherName)), "text": text}
}

func (s *iamScene) connect(ctx context.Context) (*aws.Connection, error) {
	id, secret := s.aws.RootCredentials()
	return aws.New(ctx, "main", aws.Config{Region: "eu-central-1", Endpoint: s.aws.URL(), AccessKeyID: id, SecretAccessKey: secret})
}

func (s *iamScene) secret(p *process) (*rotation.Secret, error) {
	c, err := s.connect(context.Background())
	if err != nil {
		return nil, err
	}
	fields, err := rota.ParseFieldMap(map[string]string{"access-id": rota.FieldAccessKeyID, "secret-key": rota.FieldSecretAccessKey}, nil)
	if err != nil {
		return nil, err
	}
	target, err := file.New(file.Config{Path: s.path, Format: file.JSON})
	if err != nil {
		return nil, err
	}
	return &rotation.Secret{
		Name: secretName, Policy: policy,
		Issuer:    c.AccessKeys(aws.AccessKeysConfig{User: iamUser}),
		Store:     c.SecretsManager(aws.SecretsManagerConfig{Name: secretName, Fields: fields}),
		Checks:    []rota.Check{c.Bucket(bucketName)},
		Targets:   []rota.Target{&wrappedTarget{p, target}},
		Reloaders: []rota.Reloader{&reloader{p, s.reload}},
		Notifiers: []rota.Notifier{c.Topic(s.topic)},
	}, nil
}

// reload makes the consumers read the file.
func (s *iamScene) reload() error {
	c, err := s.file()
	if err == nil {
		s.mu.Lock()
		if c != s.served {
			s.before, s.until = s.served, s.w.clock().Add(policy.DeactivatePreviousAfter)
		}
		s.served = c
		s.mu.Unlock()
	}
	return err
}

// file is the key in the target.
func (s *iamScene) file() (credential, error) {
	text, err := os.ReadFile(s.path)
	if errors.Is(err, os.ErrNotExist) {
		return credential{}, nil
	}
	if err != nil {
		return credential{}, err
	}
	var c struct {
		ID     string `json:"access_key_id"`
		Secret string `json:"secret_access_key"`
	}
	err = json.Unmarshal(text, &c)
	return credential(c), err
}

// stored is a version's key, zero if there is none.
func (s *iamScene) stored(labelOrID string) (credential, map[string]any, error) {
	text, ok := s.aws.SecretText(secretName, labelOrID)
	if !ok {
		return credential{}, nil, nil
	}
	var c credential
	all := map[string]any{}
	if err := errors.Join(json.Unmarshal([]byte(text), &c), json.Unmarshal([]byte(text), &all)); err != nil {
		return credential{}, nil, err
	}
	delete(all, "access-id")
	delete(all, "secret-key")
	return c, all, nil
}

func (s *iamScene) journal() (rotation.Journal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db != nil && s.w.died() {
		_ = s.db.Close() // as the system does with a dead process's files
		return s.openLocked()
	}
	if s.data == nil {
		return s.openLocked()
	}
	return s.data, nil
}

// openLocked opens the data folder.
func (s *iamScene) openLocked() (rotation.Journal, error) {
	if s.w.plan.kind != dies {
		s.data = memory.NewJournal(memory.Options{Now: s.w.clock})
		return s.data, nil
	}
	dir := filepath.Join(s.dir, fmt.Sprintf("data-%d", s.folder))
	db, err := store.Open(context.Background(), store.Options{Dir: dir, Now: s.w.clock})
	if err != nil {
		return nil, err
	}
	s.db, s.data = db, db.Journal()
	return s.data, nil
}

func (s *iamScene) lose() {
	s.closeData()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.folder++
}

func (s *iamScene) closeData() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db != nil {
		_ = s.db.Close() // nothing is read from it any more
	}
	s.db, s.data = nil, nil
}

// verify recomputes the audit's chain.
func (s *iamScene) verify() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil
	}
	if _, err := s.db.Audit().Verify(context.Background()); err != nil {
		return fmt.Errorf("the audit does not verify: %w", err)
	}
	return nil
}

func (s *iamScene) instant() error {
	current, extra, err := s.stored("AWSCURRENT")
	if err != nil {
		return fmt.Errorf("AWSCURRENT can't be read: %w", err)
	}
	if current.ID != "" && !s.aws.Valid(current.ID, current.Secret) {
		return fmt.Errorf("AWSCURRENT holds %s, which cannot log in", current.ID)
	}
	if s.extra != nil && fmt.Sprint(extra) != fmt.Sprint(s.extra) {
		return fmt.Errorf("the secret's other fields are %v", extra)
	}
	target, err := s.file()
	if err != nil {
		return fmt.Errorf("the target can't be read: %w", err)
	}
	if target.ID != "" && !s.aws.Valid(target.ID, target.Secret) {
		return fmt.Errorf("the target holds %s, which cannot log in", target.ID)
	}
	s.mu.Lock()
	served, before, until := s.served, s.before, s.until
	s.mu.Unlock()
	if before.ID != "" && s.w.clock().Before(until) && !s.aws.Valid(before.ID, before.Secret) {
		return fmt.Errorf("late consumers hold %s, which cannot log in, before its grace is over", before.ID)
	}
	if served.ID != "" && !s.aws.Valid(served.ID, served.Secret) {
		return fmt.Errorf("consumers hold %s, which cannot log in", served.ID)
	}
	if n := len(s.aws.Keys(iamUser)); n > 2 {
		return fmt.Errorf("the user has %d keys", n)
	}
	return nil
}

// look uses the keys' ids, or for a key that isn't Rota's, the version's id.
func (s *iamScene) look() (moment, error) {
	var m moment
	labels := s.aws.Labels(secretName)
	current, _, err := s.stored("AWSCURRENT")
	previous, _, err2 := s.stored("AWSPREVIOUS")
	if err := errors.Join(err, err2); err != nil {
		return m, err
	}
	m.current, m.previous, m.previousState = current.ID, previous.ID, s.state(previous.ID)
	if !s.ours(labels, "AWSCURRENT") {
		m.current = labels["AWSCURRENT"]
	}
	m.previousForeign = !s.ours(labels, "AWSPREVIOUS")
	m.priorGone = s.state(s.w.start.previous) == "gone"
	return m, nil
}

func (s *iamScene) state(id string) string {
	for _, k := range s.aws.Keys(iamUser) {
		if k.ID == id {
			return map[string]string{"Active": "active", "Inactive": "inactive"}[k.Status]
		}
	}
	return "gone"
}

func (s *iamScene) safe() error {
	if err := s.verify(); err != nil {
		return err
	}
	current, _, err := s.stored("AWSCURRENT")
	if err != nil {
		return err
	}
	if current.ID != "" && s.w.struck { // before that, Valid is enough
		if err := s.logIn(current); err != nil {
			return fmt.Errorf("AWSCURRENT holds %s, which cannot log in: %w", current.ID, err)
		}
	}
	if now := s.foreign(); fmt.Sprint(now) != fmt.Sprint(s.others) {
		return fmt.Errorf("foreign things were touched: %v, and were %v", now, s.others)
	}
	for _, c := range s.aws.Calls() {
		if c.Error == "LimitExceeded" && !s.twice(c.Action) {
			return fmt.Errorf("call %d ran into the limit of keys", c.N)
		}
	}
	return nil
}

// logIn logs in over the wire, several times, because a new key isn't known
// everywhere at once.
func (s *iamScene) logIn(c credential) error {
	s.aws.SetFaults(nil)
	defer s.aws.SetFaults(s.w.wire)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	connection, err := s.connect(ctx)
	if err != nil {
		return err
	}
	issuer := connection.AccessKeys(aws.AccessKeysConfig{User: iamUser})
	r := rota.TestRequest{Credential: rota.NewCredential(map[string]string{rota.FieldAccessKeyID: c.ID, rota.FieldSecretAccessKey: c.Secret})}
	for range 30 {
		if err = issuer.Test(ctx, r); err == nil {
			return nil
		}
	}
	return err
}

func (s *iamScene) settled() error {
	if err := s.safe(); err != nil {
		return err
	}
	labels := s.aws.Labels(secretName)
	if v := labels["AWSPENDING"]; v != "" {
		return fmt.Errorf("AWSPENDING is left on %s", v)
	}
	current, _, err := s.stored("AWSCURRENT")
	if err != nil {
		return err
	}
	target, err := s.file()
	if err != nil {
		return err
	}
	s.mu.Lock()
	served := s.served
	s.mu.Unlock()
	if target != current || served != current {
		return fmt.Errorf("%s is current, the target holds %s, and consumers %s", current.ID, target.ID, served.ID)
	}
	if current.ID != "" && labels["ROTA_SERVED"] != labels["AWSCURRENT"] && s.ours(labels, "AWSCURRENT") {
		return fmt.Errorf("ROTA_SERVED is on %s, not on the current version", labels["ROTA_SERVED"])
	}
	var held []string
	for _, version := range labels {
		c, _, err := s.stored(version)
		if err != nil {
			return err
		}
		held = append(held, c.ID)
	}
	for _, k := range s.aws.Keys(iamUser) {
		if !slices.Contains(held, k.ID) {
			return orphanError(k.ID)
		}
	}
	return nil
}

func (s *iamScene) ours(labels map[string]string, label string) bool {
	v := labels[label]
	return strings.HasPrefix(v, "rota-") || labels["ROTA_ADOPTED"] == v
}

// mayHold: a key whose intent was lost belongs to someone else, as far as
// anyone can know. It's left alone, and waited for if its slot is needed.
func (s *iamScene) mayHold(k rotation.HoldKind, missing error) (string, bool) {
	_, orphan := errors.AsType[orphanError](missing)
	switch {
	case !orphan, !s.w.plan.lose && !s.twice("CreateAccessKey"):
		return "", false
	case k == rotation.HoldNone:
		return "a key of unknown origin is left alone", true
	case k == rotation.HoldNoFreeSlot, k == rotation.HoldNeverIssued:
		return "hold: " + string(k), true
	}
	return "", false
}

// twice reports whether the plan makes a call arrive twice. Of two keys, Rota
// knows the one in the response.
func (s *iamScene) twice(action string) bool {
	return s.w.plan.kind == repeated && s.w.plan.call.op == action
}

// orphanError names a key that no version of the store has.
type orphanError string

func (e orphanError) Error() string { return string(e) + " is an orphan" }

func (s *iamScene) close() {
	s.closeData()
	s.aws.Close()
	_ = os.RemoveAll(s.dir)
}
