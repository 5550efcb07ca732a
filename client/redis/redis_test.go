package redis_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	driver "github.com/redis/go-redis/v9"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/clienttest"
	"github.com/rota-dev/rota/client/redis"
	"github.com/rota-dev/rota/internal/testenv"
)

const name = "prod/orders-cache"

// world is a Redis with one user of an application's.
type world struct {
	server *testenv.RedisServer
	source *clienttest.Source
	secret *client.Secret
}

func newWorld(t *testing.T, push bool) *world {
	t.Helper()
	w := &world{server: testenv.Redis(t, testenv.RedisOptions{}), source: clienttest.NewSource()}
	if !push {
		w.source.DisablePush()
	}
	w.server.Do(t, "acl", "setuser", "orders", "on", "~*", "+get", "+set", "+client|setname", "+multi", "+exec")
	c, err := client.Open(client.Options{Source: w.source, Every: time.Hour, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	w.secret = c.Secret(name)
	return w
}

// rotate gives the user a password, beside the one before or in its place, and makes it
// current.
func (w *world) rotate(t *testing.T, password, before string, overlap bool) {
	t.Helper()
	w.server.Do(t, "acl", "setuser", "orders", ">"+password)
	if !overlap && before != "" {
		w.server.Do(t, "acl", "setuser", "orders", "<"+before)
	}
	w.source.Set(name, map[string]string{"username": "orders", "password": password})
}

func (w *world) client(t *testing.T, o redis.Options) *driver.Client {
	t.Helper()
	c := redis.NewClient(&driver.Options{Addr: w.server.Addr, PoolSize: 20, Username: "nobody", Password: "wrong"}, w.secret, o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// load runs commands until stop is called, which returns how many there were. idle waits
// until none is under way that was begun before.
func load(t *testing.T, c *driver.Client) (idle func(), stop func() int64) {
	t.Helper()
	var commands atomic.Int64
	var each [10]atomic.Int64
	ended := make(chan struct{})
	var workers sync.WaitGroup
	for i := range each {
		workers.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
				}
				var err error
				if i%2 == 0 {
					err = c.Set(t.Context(), "key", "value", 0).Err()
				} else {
					_, err = c.Pipelined(t.Context(), func(p driver.Pipeliner) error {
						p.Set(t.Context(), "key", "value", 0)
						return p.Get(t.Context(), "key").Err()
					})
				}
				if err != nil {
					t.Errorf("after %d commands: %v", commands.Load(), err)
					return
				}
				commands.Add(1)
				each[i].Add(1)
			}
		})
	}
	idle = func() {
		for i := range each {
			before := each[i].Load()
			testenv.Eventually(t, "commands go on", func() bool { return each[i].Load() > before+1 || t.Failed() })
		}
	}
	return idle, sync.OnceValue(func() int64 { close(ended); workers.Wait(); return commands.Load() })
}

func TestAPoolUnderLoadSurvivesRotations(t *testing.T) {
	w := newWorld(t, true)
	w.rotate(t, "password-0", "", true)
	c := w.client(t, redis.Options{Grace: 20 * time.Millisecond})
	idle, stop := load(t, c)
	for round := 1; round <= 30; round++ {
		w.rotate(t, fmt.Sprintf("password-%d", round), "", true)
		testenv.Eventually(t, "the client has it", func() bool { return w.secret.Status().Version == fmt.Sprintf("v%d", round+1) })
		// Two are valid at a time, for as long as a login takes.
		idle()
		w.server.Do(t, "acl", "setuser", "orders", fmt.Sprintf("<password-%d", round-1))
	}
	t.Logf("%d commands through 30 rotations", stop())
}

// The old password ends before anyone has the new one, and commands go on: a login that
// was refused is tried with the version that the source has by then.
func TestOnePasswordAtATime(t *testing.T) {
	w := newWorld(t, false)
	w.rotate(t, "password-0", "", false)
	c := w.client(t, redis.Options{Grace: time.Millisecond})
	if err := c.Set(t.Context(), "key", "value", 0).Err(); err != nil {
		t.Fatal(err)
	}
	w.rotate(t, "password-1", "password-0", false)
	before := w.source.Fetches(name)
	var workers sync.WaitGroup
	for range 20 {
		workers.Go(func() {
			var got *driver.StringCmd
			if _, err := c.Pipelined(t.Context(), func(p driver.Pipeliner) error { got = p.Get(t.Context(), "key"); return nil }); err != nil || got.Val() != "value" {
				t.Error(got, err)
			}
			if err := c.Get(t.Context(), "key").Err(); err != nil {
				t.Error(err)
			}
		})
	}
	workers.Wait()
	if n := w.source.Fetches(name) - before; n != 1 {
		t.Errorf("%d requests to the source", n)
	}
}

func TestAPasswordThatNobodyAccepts(t *testing.T) {
	w := newWorld(t, true)
	w.rotate(t, "password-0", "", false)
	w.source.Set(name, map[string]string{"username": "orders", "password": "wrong"})
	w.server.Do(t, "acl", "setuser", "orders", "resetpass", ">somebody-else's")
	c := w.client(t, redis.Options{})
	if err := c.Get(t.Context(), "key").Err(); !redis.Refused(err) || strings.Contains(err.Error(), "password-0") {
		t.Errorf("%v", err)
	}
	w.source.Set(name, map[string]string{"username": "orders"})
	testenv.Eventually(t, "a secret without a password is named", func() bool {
		err := c.Get(t.Context(), "key").Err()
		return err != nil && strings.Contains(err.Error(), `no field "password"`)
	})
}

// A refusal that isn't of the pool's login is the caller's.
func TestWhatCountsAsARefusal(t *testing.T) {
	w := newWorld(t, true)
	w.rotate(t, "password-0", "", false)
	c := w.client(t, redis.Options{})
	err := c.Del(t.Context(), "key").Err()
	if err == nil || redis.Refused(err) {
		t.Errorf("a command that isn't allowed: %v", err)
	}
	if redis.Refused(nil) || redis.Refused(driver.Nil) || redis.Refused(errors.New("WRONGPASS in words only")) {
		t.Error("something else counts as a refusal")
	}
	w.server.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := c.Get(ctx, "key").Err(); err == nil || redis.Refused(err) {
		t.Errorf("a server that's away: %v", err)
	}
}

func TestCredentialsForOtherClients(t *testing.T) {
	w := newWorld(t, true)
	w.rotate(t, "password-0", "", false)
	c := driver.NewUniversalClient(&driver.UniversalOptions{Addrs: []string{w.server.Addr}, CredentialsProviderContext: redis.Credentials(w.secret, redis.Options{})})
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Set(t.Context(), "key", "value", 0).Err(); err != nil {
		t.Error(err)
	}
}
