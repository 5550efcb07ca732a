package bench

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-secretsmanager-caching-go/v2/secretcache"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/secretsmanager"
)

const name = "prod/orders-db"

// service imitates Secrets Manager: any secret, whose version changes when told to.
type service struct {
	secretcache.SecretsManagerAPIClient // nil: nothing else is called

	delay   atomic.Int64 // of each answer
	version atomic.Int64
	asked   atomic.Int64
}

func (s *service) id() string {
	return fmt.Sprintf("version-%027d", s.version.Load()) // as long as AWS's are
}

func (s *service) wait(ctx context.Context) error {
	s.asked.Add(1)
	if delay := time.Duration(s.delay.Load()); delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (s *service) GetSecretValue(ctx context.Context, in *awssm.GetSecretValueInput, _ ...func(*awssm.Options)) (*awssm.GetSecretValueOutput, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	id := s.id()
	return &awssm.GetSecretValueOutput{Name: in.SecretId, VersionId: aws.String(id),
		SecretString: aws.String(`{"username":"orders","password":"correct horse battery staple","version":"` + id + `"}`)}, nil
}

func (s *service) DescribeSecret(ctx context.Context, in *awssm.DescribeSecretInput, _ ...func(*awssm.Options)) (*awssm.DescribeSecretOutput, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	return &awssm.DescribeSecretOutput{Name: in.SecretId, VersionIdsToStages: map[string][]string{s.id(): {"AWSCURRENT"}}}, nil
}

func rota(b *testing.B, s *service, every time.Duration) *client.Client {
	b.Helper()
	c, err := client.Open(client.Options{Source: secretsmanager.New(s), Every: every, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	return c
}

func amazon(b *testing.B, s *service, every time.Duration, size int) *secretcache.Cache {
	b.Helper()
	c, err := secretcache.New(func(c *secretcache.Cache) {
		c.Client, c.CacheItemTTL, c.MaxCacheSize = s, every.Nanoseconds(), size
	})
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// readers returns a read of a secret by Rota's client and by AWS's cache.
func readers(b *testing.B, s *service, every time.Duration) map[string]func() (int, error) {
	of, cache, ctx := rota(b, s, every).Secret(name), amazon(b, s, every, 1024), b.Context()
	return map[string]func() (int, error){
		"rota": func() (int, error) {
			v, err := of.Get(ctx)
			return len(v.Version()), err
		},
		"aws": func() (int, error) {
			text, err := cache.GetSecretStringWithContext(ctx, name)
			return len(text), err
		},
	}
}

// BenchmarkHit is a read of a value that's already here. Its target is 25 ns and no
// allocations.
func BenchmarkHit(b *testing.B) {
	reads := readers(b, &service{}, time.Hour)
	for _, who := range []string{"rota", "aws"} {
		read := reads[who]
		if n, err := read(); n == 0 || err != nil {
			b.Fatal(err)
		}
		b.Run(who, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := read(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(who+", in parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if _, err := read(); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// answerTime is how long the service takes in [BenchmarkStall].
const answerTime = 120 * time.Millisecond

// BenchmarkStall reads while values are refreshed, from a service that takes 120 ms for
// an answer, and reports the longest read.
func BenchmarkStall(b *testing.B) {
	for _, who := range []string{"rota", "aws"} {
		b.Run(who, func(b *testing.B) {
			s := &service{}
			read := readers(b, s, 300*time.Millisecond)[who]
			if _, err := read(); err != nil {
				b.Fatal(err)
			}
			s.delay.Store(int64(answerTime))
			var longest time.Duration
			for b.Loop() {
				s.version.Add(1)
				asked := s.asked.Load()
				for end := time.Now().Add(10 * time.Second); s.asked.Load() < asked+4 && time.Now().Before(end); {
					began := time.Now()
					if _, err := read(); err != nil {
						b.Fatal(err)
					}
					longest = max(longest, time.Since(began))
					time.Sleep(100 * time.Microsecond) // so as not to take the core from those who refresh
				}
			}
			b.ReportMetric(float64(longest.Microseconds())/1000, "longest-ms")
		})
	}
}

// BenchmarkMemory is what 10,000 secrets in one client take.
func BenchmarkMemory(b *testing.B) {
	const secrets = 10_000
	for _, who := range []string{"rota", "aws"} {
		b.Run(who, func(b *testing.B) {
			for b.Loop() {
				s := &service{}
				before := heap()
				var keep any
				if who == "rota" {
					c := rota(b, s, time.Hour)
					fill(b, secrets, func(name string) error { _, err := c.Secret(name).Get(b.Context()); return err })
					keep = c
				} else {
					c := amazon(b, s, time.Hour, secrets)
					fill(b, secrets, func(name string) error { _, err := c.GetSecretStringWithContext(b.Context(), name); return err })
					keep = c
				}
				after := heap()
				b.ReportMetric(float64(after-before)/(1<<20), "MiB")
				b.ReportMetric(float64(after-before)/secrets, "B/secret")
				runtime.KeepAlive(keep)
			}
		})
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

func fill(b *testing.B, secrets int, read func(name string) error) {
	b.Helper()
	var workers sync.WaitGroup
	var next atomic.Int64
	for range 8 {
		workers.Go(func() {
			for n := next.Add(1); n <= int64(secrets); n = next.Add(1) {
				if err := read(fmt.Sprintf("prod/team-%d/secret-%d", n%100, n)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	workers.Wait()
}
