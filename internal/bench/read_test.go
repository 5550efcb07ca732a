package bench

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/internal/testenv"
)

// BenchmarkRead asks a running rota serve for one secret's value, as AWS's
// clients do: signed, over connections that stay open, and with an audit entry
// that is on disk before the answer. It reports reads a second, how long half
// of them and 99 of 100 took at most, and the processor time that the server,
// without its database's, took for one.
func BenchmarkRead(b *testing.B) {
	b.Run("SQLite", func(b *testing.B) { readFrom(b, "") })
	b.Run("PostgreSQL", func(b *testing.B) {
		readFrom(b, testenv.Postgres(b, testenv.PostgresOptions{Fsync: true}).DSN())
	})
}

func readFrom(b *testing.B, database string) {
	s := serve(b, database, "secrets: []\n"+generous, func(db *store.DB) {
		err := db.Secret("bench/read").Put(b.Context(), rota.PutRequest{
			Version: rota.NewVersionID(), Labels: []rota.Label{rota.LabelCurrent},
			Credential: rota.NewCredential(map[string]string{"username": "app", "password": "a-password-of-usual-length-42"}),
		})
		if err != nil {
			b.Fatal(err)
		}
	})
	for _, clients := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("%d clients", clients), func(b *testing.B) {
			var took []time.Duration
			var wall, processor time.Duration
			s.read(b, clients, time.Second/2) // connections, caches
			for b.Loop() {
				before, begin := s.processorTime(b), time.Now()
				took = append(took, s.read(b, clients, 5*time.Second)...)
				wall += time.Since(begin)
				processor += s.processorTime(b) - before
			}
			slices.Sort(took)
			b.ReportMetric(float64(len(took))/wall.Seconds(), "reads/s")
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(float64(processor.Microseconds())/float64(len(took)), "server-µs/read")
		})
	}
}

// read reads with so many clients at once for that long, and gives how long
// each read took.
func (s *served) read(b *testing.B, clients int, lasts time.Duration) []time.Duration {
	b.Helper()
	const body = `{"SecretId":"bench/read"}`
	client := clientsFor(b, clients)
	request := s.signed(b, body)
	end := time.Now().Add(lasts)
	all := make([][]time.Duration, clients)
	var ended sync.WaitGroup
	for i := range all {
		ended.Go(func() {
			for begin := time.Now(); begin.Before(end); {
				if err := send(b.Context(), client, request, body); err != nil {
					b.Error(err)
					return
				}
				now := time.Now()
				all[i] = append(all[i], now.Sub(begin))
				begin = now
			}
		})
	}
	ended.Wait()
	if b.Failed() {
		b.FailNow()
	}
	return slices.Concat(all...)
}

// signed is a request for the value, to be sent many times while its signature
// is good.
func (s *served) signed(b *testing.B, body string) *http.Request {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, s.url+"/", strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "secretsmanager.GetSecretValue")
	sum := sha256.Sum256([]byte(body))
	key := aws.Credentials{AccessKeyID: s.key.Key.ID, SecretAccessKey: s.key.Secret.Reveal()}
	if err := v4.NewSigner().SignHTTP(b.Context(), key, r, hex.EncodeToString(sum[:]), "secretsmanager", "us-east-1", time.Now()); err != nil {
		b.Fatal(err)
	}
	return r
}

func send(ctx context.Context, client *http.Client, r *http.Request, body string) error {
	r = r.Clone(ctx)
	r.Body = io.NopCloser(strings.NewReader(body))
	a, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = a.Body.Close() }()
	answer, err := io.ReadAll(a.Body)
	if err == nil && a.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", a.Status, answer)
	}
	return err
}
