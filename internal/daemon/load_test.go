package daemon_test

import (
	"encoding/json"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rota-dev/rota/api"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// A thousand concurrent readers while a secret is rotated over and over: no
// read is empty, torn, or older than what was current when it started.
func TestAThousandReadersWhileRotationsRun(t *testing.T) {
	const readers, rotations = 1000, 12
	w := start(t, "", roleConfig(t, "load", "30d")+"access: {limits: {principal: {per_second: 100000, burst: 100000}, address: {per_second: 100000, burst: 100000}}}\n")
	transport := &http.Transport{MaxIdleConnsPerHost: readers, MaxConnsPerHost: readers}
	defer transport.CloseIdleConnections()
	client := secretsmanager.New(secretsmanager.Options{
		BaseEndpoint: aws.String(w.url), Region: "eu-central-1", HTTPClient: &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider(w.key.Key.ID, w.key.Secret.Reveal(), ""),
	})
	read := func() (version, value string) {
		v, err := client.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("app/load")})
		if err != nil {
			t.Errorf("read: %v", err)
			return "", ""
		}
		return aws.ToString(v.VersionId), aws.ToString(v.SecretString)
	}
	rotate := func() string {
		var done api.WorkDoc
		w.do(http.MethodPost, "/v1/secrets/app%2Fload/rotate", &done)
		if len(done.Secrets) != 1 || done.Secrets[0].State != api.WorkDone {
			t.Fatalf("rotate: %+v", done)
		}
		return done.Secrets[0].Done[0].Version
	}

	var (
		generations sync.Map // of versions, in order of promotion, once finished
		values      sync.Map // of versions: the first that was read
		promoted    atomic.Int64
		reads       atomic.Int64
		stop        = make(chan struct{})
		all         sync.WaitGroup
	)
	generations.Store(rotate(), int64(0))
	started := make(chan struct{}, readers)
	for range readers {
		all.Go(func() {
			for first := true; ; first = false {
				select {
				case <-stop:
					return
				default:
				}
				least := promoted.Load()
				version, value := read()
				var fields map[string]string
				if err := json.Unmarshal([]byte(value), &fields); err != nil || fields["username"] != "load" || len(fields["password"]) < 16 {
					t.Errorf("version %q is torn or empty: %v", version, err)
					return
				}
				if before, _ := values.LoadOrStore(version, value); before != value {
					t.Errorf("version %s has two values", version)
				}
				if generation, known := generations.Load(version); known && generation.(int64) < least {
					t.Errorf("a read that began in generation %d gave one of %d", least, generation)
				}
				reads.Add(1)
				if first {
					started <- struct{}{}
				}
			}
		})
	}
	for range readers {
		<-started
	}
	for i := range int64(rotations) {
		generations.Store(rotate(), i+1)
		promoted.Store(i + 1)
		if t.Failed() {
			break
		}
	}
	close(stop)
	all.Wait()
	t.Logf("count: %d reads by %d readers during %d rotations, none empty, torn or stale", reads.Load(), readers, rotations)
}
