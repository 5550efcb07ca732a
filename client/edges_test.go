package client_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/clienttest"
)

// A program that has just started doesn't know the previous version. The source is
// asked for it once, and everyone who is refused gets the answer.
func TestEveryRefusedLoginGetsThePreviousVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := polled()
		source.Set(db, fields("two"))
		s := open(t, client.Options{Source: source}).Secret(db)
		password(t, s)
		server := &server{accept: map[string]bool{"one": true}}
		before := source.Fetches(db)
		source.Delay(time.Second)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if err := s.Try(t.Context(), server.login, isRefused); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := source.Fetches(db) - before; n != 2 {
			t.Errorf("%d requests for 50 refused logins, not one for each version", n)
		}
	})
}

func TestAFirstGetThatRunsOutOfTimeSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := polled()
		source.Delay(10 * time.Second)
		source.Fail(errors.New("no route to host"))
		_, err := open(t, client.Options{Source: source, CallTimeout: 12 * time.Second}).Secret(db).Get(t.Context())
		if err == nil || !strings.Contains(err.Error(), "no route to host") {
			t.Errorf("%v", err)
		}
	})
}

// The sources of a chain that can't push are asked at the usual interval, even if
// another one pushes.
func TestASourceThatCannotPushIsAskedInAChain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quiet, static := polled(), client.Static{"prod/another": client.NewValue("v1", fields("one"))}
		for name, others := range map[string][]client.Source{
			"says so when asked":  {quiet},
			"isn't even a Pusher": {static, onlyFetch{quiet}},
		} {
			s := open(t, client.Options{Source: client.Chain(append([]client.Source{clienttest.NewSource()}, others...)...)}).Secret(db)
			had := password(t, s)
			time.Sleep(time.Minute)
			quiet.Set(db, fields("after "+had))
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			if got := password(t, s); got != "after "+had {
				t.Errorf("a source that %s: password %q after two minutes", name, got)
			}
		}
	})
}

// onlyFetch hides that a source has Push.
type onlyFetch struct{ client.Source }

func TestTheCacheKeepsBytesThatAreNoText(t *testing.T) {
	cache, err := client.FileCache(t.TempDir(), []byte("0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	keystore := "\xfe\xed\xfe\xed\x00\xff"
	for name, v := range map[string]client.Value{
		"a text":  client.TextValue("v1", keystore),
		"a field": client.NewValue("v1", map[string]string{"keystore.jks": keystore}),
	} {
		if err := cache.Save(name, v); err != nil {
			t.Fatal(err)
		}
		got, err := cache.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if got.Text() != v.Text() || got.Field("keystore.jks") != v.Field("keystore.jks") {
			t.Errorf("%s: %q came back as %q, field %q", name, v.Text(), got.Text(), got.Field("keystore.jks"))
		}
	}
}

func TestWatchIsNotCalledForTheFirstVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := polled()
		s := open(t, client.Options{Source: source}).Secret(db)
		var seen []string
		s.Watch(func(v client.Value) { seen = append(seen, v.Field("password")) })
		password(t, s)
		synctest.Wait()
		source.Set(db, fields("two"))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if strings.Join(seen, " ") != "two" {
			t.Errorf("called with %q; the first version replaced nothing", seen)
		}
	})
}

func TestAValueThatCannotBeParsedIsNotHalfReturned(t *testing.T) {
	secrets := open(t, client.Options{Source: client.Static{db: client.TextValue("v1", `{"host":"db","port":"many"}`)}})
	type login struct {
		Host string
		Port int
	}
	if got, err := client.JSON[login](secrets.Secret(db)).Get(t.Context()); err == nil || got != (login{}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAnOutageIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := clienttest.NewSource()
		source.Set(db, fields("one"))
		var log bytes.Buffer
		c := open(t, client.Options{Source: source, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		password(t, c.Secret(db))
		for range 2 {
			source.Fail(errors.New("no route to host"))
			time.Sleep(10 * time.Minute)
			source.Fail(nil)
			time.Sleep(10 * time.Minute)
		}
		c.Close()
		if n := strings.Count(log.String(), "can't be followed"); n != 2 {
			t.Errorf("%d warnings for two outages", n)
		}
	})
}

// A program that ends while a request is under way has nothing to warn of.
func TestTheEndOfAClientIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		source := clienttest.NewSource()
		source.Set(db, fields("one"))
		c, err := client.Open(client.Options{Source: source, Logger: slog.New(slog.NewTextHandler(&said, nil))})
		if err != nil {
			t.Fatal(err)
		}
		password(t, c.Secret(db))
		source.Delay(5 * time.Second)
		source.Set(db, fields("two"))
		time.Sleep(time.Second)
		c.Close()
		if said.Len() > 0 {
			t.Errorf("%s", &said)
		}
	})
}
