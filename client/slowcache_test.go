package client_test

import (
	"testing"
	"time"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/clienttest"
)

// slowCache is a cache whose disk hangs with version v2, until it's released.
type slowCache struct{ saving, release chan struct{} }

func (slowCache) Load(string) (client.Value, error) { return client.Value{}, nil }
func (slowCache) Forget(string) error               { return nil }
func (c slowCache) Save(_ string, v client.Value) error {
	if v.Version() == "v2" {
		close(c.saving)
		<-c.release
	}
	return nil
}

func TestADiskThatHangsHoldsNobodyUp(t *testing.T) {
	source := clienttest.NewSource()
	source.Set(db, fields("one"))
	source.Set("prod/other", fields("other"))
	cache := slowCache{saving: make(chan struct{}), release: make(chan struct{})}
	c := open(t, client.Options{Source: source, Cache: cache})
	s := c.Secret(db)
	seen := make(chan string, 1)
	s.Watch(func(v client.Value) { seen <- v.Field("password") })
	password(t, s)
	source.Set(db, fields("two"))
	<-cache.saving // and from here on it hangs

	done := make(chan struct{})
	go func() {
		defer close(done)
		if got := <-seen; got != "two" {
			t.Errorf("watched %q", got)
		}
		if got := password(t, s); got != "two" {
			t.Errorf("password %q", got)
		}
		if status := s.Status(); status.Version != "v2" || status.Succeeded < 2 || status.Failed != 0 {
			t.Errorf("status %+v", status)
		}
		if got := password(t, c.Secret("prod/other")); got != "other" {
			t.Errorf("the other secret's password %q", got)
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("something waits for the disk")
	}
	close(cache.release)
	<-done
}
