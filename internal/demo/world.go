package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
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
	user     = "prod-cms-binary-leancms-s3-user"
	awsName  = "prod/binary-leancms-s3"
	bucket   = "binary-leancms"
	dbName   = "prod/orders-db"
	roleA    = "orders_a"
	roleB    = "orders_b"
	startDay = "2026-01-01T09:00:00Z"
)

// clock is virtual time: it stands still until someone advances it.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

func (c *clock) Sleep(_ context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return nil
}

// world is everything the demo runs on.
type world struct {
	clock   *clock
	dir     string
	aws     *awstest.Server
	topic   string
	db      *memory.Alternating
	own     *store.DB
	rotator *rotation.Rotator
	secrets []*rotation.Secret
	apps    []*app
}

func newWorld(ctx context.Context, report func(rotation.Report)) (*world, error) {
	start, err := time.Parse(time.RFC3339, startDay)
	if err != nil {
		return nil, err
	}
	w := &world{clock: &clock{now: start}}
	if w.dir, err = os.MkdirTemp("", "rota-demo-"); err != nil {
		return nil, err
	}
	if w.aws, err = awstest.New(awstest.Options{Now: w.clock.Now}); err != nil {
		return nil, err
	}
	if w.own, err = store.Open(ctx, store.Options{Dir: filepath.Join(w.dir, "state"), Now: w.clock.Now}); err != nil {
		return nil, err
	}
	w.rotator = &rotation.Rotator{Journal: w.own.Journal(), Now: w.clock.Now, Sleep: w.clock.Sleep, Report: report, Actor: "demo"}
	if err := w.awsSecret(ctx); err != nil {
		return nil, err
	}
	w.databaseSecret()
	return w, nil
}

func (w *world) close() {
	if w.own != nil {
		_ = w.own.Close()
	}
	if w.aws != nil {
		w.aws.Close()
	}
	_ = os.RemoveAll(w.dir)
}

// policy is the policy of both secrets: 90, 100 and 110 days.
var policy = rotation.Policy{RotateEvery: 90 * rota.Day, DeactivatePreviousAfter: 10 * rota.Day, DeletePreviousAfter: 20 * rota.Day}

// awsSecret is an IAM user's access key in a secret that also has other fields,
// copied to a file that an application reads.
func (w *world) awsSecret(ctx context.Context) error {
	w.aws.CreateUser(user)
	w.aws.CreateBucket(bucket, user)
	w.aws.SetPropagation(2) // a new key is refused at first, as at AWS
	w.topic = w.aws.CreateTopic("rotations")
	if _, _, err := w.aws.CreateSecret(awsName, `{"bucket": "`+bucket+`", "endpoint": "https://s3.eu-central-1.amazonaws.com", "retries": 3}`); err != nil {
		return err
	}
	id, secret := w.aws.RootCredentials()
	conn, err := aws.New(ctx, "in-memory-aws", aws.Config{Region: w.aws.Region(), Endpoint: w.aws.URL(), AccessKeyID: id, SecretAccessKey: secret})
	if err != nil {
		return err
	}
	fields, err := rota.ParseFieldMap(map[string]string{"access-id": rota.FieldAccessKeyID, "secret-key": rota.FieldSecretAccessKey}, nil)
	if err != nil {
		return err
	}
	path := filepath.Join(w.dir, "credentials.json")
	target, err := file.New(file.Config{Name: "cms credentials file", Path: path, Format: "json"})
	if err != nil {
		return err
	}
	cms := &app{name: "cms", login: func(c rota.Credential) error { return conn.Bucket(bucket).Check(ctx, c) }}
	cms.read = func() (rota.Credential, error) { return readFile(path) }
	w.apps = append(w.apps, cms)
	w.secrets = append(w.secrets, &rotation.Secret{
		Name: awsName, Systems: []string{"in-memory-aws"}, Policy: policy,
		Issuer:    conn.AccessKeys(aws.AccessKeysConfig{User: user}),
		Store:     conn.SecretsManager(aws.SecretsManagerConfig{Name: awsName, Fields: fields}),
		Checks:    []rota.Check{conn.Bucket(bucket)},
		Targets:   []rota.Target{target},
		Reloaders: []rota.Reloader{cms},
		Notifiers: []rota.Notifier{conn.Topic(w.topic)},
	})
	return nil
}

// databaseSecret is the password of two alternating roles, in Rota's own store.
func (w *world) databaseSecret() {
	w.db = memory.NewAlternating(roleA, roleB, memory.RolesOptions{Options: memory.Options{System: "in-memory-database", Now: w.clock.Now}})
	own := w.own.Secret(dbName)
	orders := &app{name: "orders", login: func(c rota.Credential) error {
		if !w.db.Login(c) {
			return rota.ErrRefused
		}
		return nil
	}}
	orders.read = func() (rota.Credential, error) { return currentOf(own) }
	w.apps = append(w.apps, orders)
	w.secrets = append(w.secrets, &rotation.Secret{
		Name: dbName, Systems: []string{"in-memory-database"}, Policy: policy,
		Issuer: w.db, Store: own, Reloaders: []rota.Reloader{orders}, Notifiers: w.secrets[0].Notifiers,
	})
}

// app is a consumer: it logs in every day with the value it read when it was
// last reloaded.
type app struct {
	name             string
	read             func() (rota.Credential, error)
	login            func(rota.Credential) error
	held             rota.Credential
	logins, failures int
}

func (a *app) Name() string { return a.name }

// Reload restarts the application: it reads its credential again, and is
// healthy once it has logged in.
func (a *app) Reload(context.Context, rota.ReloadRequest) error {
	c, err := a.read()
	if err != nil {
		return err
	}
	a.held = c
	return a.try()
}

// try logs in, several times if necessary: IAM sometimes refuses a new key at
// first.
func (a *app) try() (err error) {
	for range 5 {
		if err = a.login(a.held); err == nil {
			return nil
		}
	}
	return err
}

// work is one day of the application.
func (a *app) work() {
	if a.held.IsZero() {
		return
	}
	a.logins++
	if a.try() != nil {
		a.failures++
	}
}

func readFile(path string) (rota.Credential, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return rota.Credential{}, err
	}
	var fields map[string]string
	if err := json.Unmarshal(b, &fields); err != nil {
		return rota.Credential{}, err
	}
	return rota.NewCredential(fields), nil
}

func currentOf(s rota.Store) (rota.Credential, error) {
	ctx := context.Background()
	contents, err := s.Describe(ctx)
	if err != nil {
		return rota.Credential{}, err
	}
	v, ok := rota.Find(contents.Versions, rota.LabelCurrent)
	if !ok {
		return rota.Credential{}, fmt.Errorf("no current version: %w", rota.ErrNotFound)
	}
	return s.Get(ctx, rota.GetRequest{Version: v.ID})
}
