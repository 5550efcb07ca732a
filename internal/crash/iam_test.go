package crash

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/aws"
	"github.com/rota-dev/rota/provider/aws/awstest"
	"github.com/rota-dev/rota/rotation"
)

const (
	iamUser    = "prod-cms"
	otherUser  = "other"
	otherName  = "prod/other"
	bucketName = "cms"
)

func TestIAMKeysThroughEveryFault(t *testing.T) {
	t.Parallel()
	matrix(t, "IAM keys", 384, // which wait for the SDK's backoff most of the time
		life{name: "a key from its first issue", build: newIAM, kinds: everyKind, loses: true, steps: lifeOfKey},
		life{name: "a key that is adopted", build: newAdopted, kinds: everyKind, loses: true, steps: []step{
			{name: "adoption", ask: adopt, done: isOurs},
			{name: "a rotation by hand", after: 20 * rota.Day, ask: rotateNow, done: isRotated},
			{name: "the adopted key's end", after: 11 * rota.Day, grace: true, done: isDeactivated},
			{name: "the adopted key's deletion", after: 10 * rota.Day, grace: true, done: isDeleted},
		}},
	)
}

// iam is an AWS with a user, whose keys are kept in Secrets Manager.
type iam struct {
	w      *world
	server *awstest.Server
	topic  string
	others map[string]any  // everything foreign, as it was initially
	conn   *aws.Connection // the latest process's
}

func newIAM(t testing.TB, w *world) *scene {
	s := newScene(t, w)
	i := newAWS(t, w)
	s.keeper = &secretsManager{dataFolder: dataFolder{w: w, dir: s.dir}, iam: i}
	s.fixture = fixture{
		connect: i.connect, traits: (&aws.Connection{}).AccessKeys(aws.AccessKeysConfig{}).Traits(),
		id:    func(c rota.Credential) string { return c.Field(rota.FieldAccessKeyID) },
		works: i.works, logIn: i.logIn, exists: i.exists, intact: i.intact, close: i.server.Close,
	}
	return s
}

func newAWS(t testing.TB, w *world) *iam {
	server, err := awstest.New(awstest.Options{Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	i := &iam{w: w, server: server, topic: server.CreateTopic("rotations")}
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
	i.others = i.foreign()
	server.SetFaults(w.wire)
	return i
}

// newAdopted has a key that a person created, in a secret with other fields.
func newAdopted(t testing.TB, w *world) *scene {
	s := newIAM(t, w)
	sm := s.keeper.(*secretsManager)
	id, secret, err := sm.iam.server.CreateAccessKey(iamUser)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`{"bucket": "cms", "access-id": %q, "ports": [1, 2], "secret-key": %q, "nested": {"x": null}}`, id, secret)
	if _, _, err := sm.iam.server.CreateSecret(secretName, text); err != nil {
		t.Fatal(err)
	}
	sm.extra = map[string]any{"bucket": "cms", "ports": []any{1.0, 2.0}, "nested": map[string]any{"x": nil}}
	if err := os.WriteFile(s.consumers.path, fmt.Appendf(nil, `{"access_key_id": %q, "secret_access_key": %q}`, id, secret), 0o600); err != nil {
		t.Fatal(err)
	}
	s.consumers.served = accessKey(id, secret)
	w.pass(200 * rota.Day)
	return s
}

func accessKey(id, secret string) rota.Credential {
	return rota.NewCredential(map[string]string{rota.FieldAccessKeyID: id, rota.FieldSecretAccessKey: secret})
}

// foreign is everything that isn't Rota's business.
func (i *iam) foreign() map[string]any {
	text, _ := i.server.SecretText(otherName, "AWSCURRENT")
	return map[string]any{"keys": fmt.Sprint(i.server.Keys(otherUser)), "labels": fmt.Sprint(i.server.Labels(otherName)), "text": text}
}

func (i *iam) open(ctx context.Context) (*aws.Connection, error) {
	id, secret := i.server.RootCredentials()
	return aws.New(ctx, "main", aws.Config{Region: "eu-central-1", Endpoint: i.server.URL(), AccessKeyID: id, SecretAccessKey: secret})
}

func (i *iam) connect(_ *process, s *rotation.Secret) (err error) {
	if i.conn, err = i.open(context.Background()); err != nil {
		return err
	}
	s.Issuer = i.conn.AccessKeys(aws.AccessKeysConfig{User: iamUser})
	s.Checks = []rota.Check{i.conn.Bucket(bucketName)}
	s.Notifiers = []rota.Notifier{i.conn.Topic(i.topic)}
	return nil
}

func (i *iam) works(c rota.Credential) (bool, error) {
	return i.server.Valid(c.Field(rota.FieldAccessKeyID), c.Field(rota.FieldSecretAccessKey)), nil
}

func (i *iam) exists() (map[string]bool, error) {
	exist := map[string]bool{}
	for _, k := range i.server.Keys(iamUser) {
		exist[k.ID] = k.Status == "Active"
	}
	return exist, nil
}

func (i *iam) intact() error {
	if now := i.foreign(); fmt.Sprint(now) != fmt.Sprint(i.others) {
		return fmt.Errorf("foreign things were touched: %v, and were %v", now, i.others)
	}
	for _, c := range i.server.Calls() {
		if c.Error == "LimitExceeded" && (i.w.plan.kind != repeated || i.w.plan.call.op != c.Action) {
			return fmt.Errorf("call %d ran into the limit of keys", c.N)
		}
	}
	return nil
}

// logIn logs in several times, because a new key isn't known everywhere at once.
func (i *iam) logIn(c rota.Credential) error {
	i.server.SetFaults(nil)
	defer i.server.SetFaults(i.w.wire)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	connection, err := i.open(ctx)
	if err != nil {
		return err
	}
	issuer := connection.AccessKeys(aws.AccessKeysConfig{User: iamUser})
	for range 30 {
		if err = issuer.Test(ctx, rota.TestRequest{Credential: c}); err == nil {
			return nil
		}
	}
	return err
}
