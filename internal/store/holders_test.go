package store

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rota-dev/rota/internal/access"
)

// held lists who holds what as "principal/instance version".
func held(t *testing.T, db *DB, secret string) []string {
	t.Helper()
	leases, err := db.Holders().Of(t.Context(), secret)
	must(t, err)
	all := []string{}
	for _, l := range leases {
		all = append(all, l.Principal+"/"+l.Instance+" "+l.Version)
	}
	slices.Sort(all)
	return all
}

func report(t *testing.T, db *DB, principal, instance string, versions ...string) []string {
	t.Helper()
	refused, err := db.Holders().Report(t.Context(), HolderReport{
		Principal: principal, Instance: instance, Held: []Held{{Secret: "prod/db", Versions: versions, Within: 9 * time.Minute}},
	})
	must(t, err)
	return refused
}

func TestAReportIsALease(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		c := newClock()
		db := openAt(t, newDir(t), c.now)
		expect := func(when string, want ...string) {
			t.Helper()
			if got := held(t, db, "prod/db"); !slices.Equal(got, append([]string{}, want...)) {
				t.Errorf("%s: %q, want %q", when, got, want)
			}
		}
		report(t, db, "shop", "pod-1", "v1")
		report(t, db, "shop", "pod-2", "v1")
		expect("reported", "shop/pod-1 v1", "shop/pod-2 v1")
		report(t, db, "shop", "pod-1", "v1", "v2")
		expect("one drains", "shop/pod-1 v1", "shop/pod-1 v2", "shop/pod-2 v1")
		report(t, db, "shop", "pod-1", "v2")
		expect("it has drained", "shop/pod-1 v2", "shop/pod-2 v1")
		report(t, db, "other", "pod-2")
		must(t, db.Holders().End(t.Context(), "other", "pod-2"))
		expect("another principal's instance of that name has ended", "shop/pod-1 v2", "shop/pod-2 v1")
		c.advance(9 * time.Minute)
		expect("within", "shop/pod-1 v2", "shop/pod-2 v1")
		report(t, db, "shop", "pod-1", "v2")
		c.advance(4 * time.Minute)
		expect("one has disappeared", "shop/pod-1 v2")
		must(t, db.Holders().Listen(t.Context()))
		must(t, db.Holders().End(t.Context(), "shop", "pod-1"))
		expect("all ended")
		var rows int
		must(t, db.reader.QueryRowContext(t.Context(), `SELECT count(*) FROM holders`).Scan(&rows))
		if rows != 0 {
			t.Errorf("%d rows are left", rows)
		}
	})
}

func TestAReportThatChangesNothingIsNotWritten(t *testing.T) {
	c := newClock()
	db := openAt(t, newDir(t), c.now)
	until := func() time.Time {
		leases, err := db.Holders().Of(t.Context(), "prod/db")
		must(t, err)
		return leases[0].Until
	}
	report(t, db, "shop", "pod-1", "v1")
	first := until()
	c.advance(3 * time.Minute)
	report(t, db, "shop", "pod-1", "v1")
	if !until().Equal(first) {
		t.Errorf("after a quarter of the lease it's written again, until %s", until())
	}
	c.advance(time.Second)
	report(t, db, "shop", "pod-1", "v1")
	if want := c.now().Add(12 * time.Minute); !until().Equal(want) {
		t.Errorf("until %s, want %s", until(), want)
	}
}

func TestMoreHoldersThanAreKeptCountAsOne(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		c := newClock()
		db := openAt(t, newDir(t), c.now)
		db.holders.limits = map[string]int{sqlCountOfSecret: 3, sqlCountOfPrincipal: 100}
		for i := range 3 {
			if refused := report(t, db, "shop", fmt.Sprint("pod-", i), "v1"); refused != nil {
				t.Errorf("the %d. is refused", i+1)
			}
		}
		if refused := report(t, db, "shop", "pod-3", "v1"); !slices.Equal(refused, []string{"prod/db"}) {
			t.Errorf("refused: %q", refused)
		}
		instances, err := db.Journal().Instances(t.Context(), "prod/db")
		must(t, err)
		if by := instances.Holding["v1"]; by.Count != 3 || !by.Uncounted {
			t.Errorf("%+v", by)
		}
		report(t, db, "shop", "pod-0", "v1") // those that are known can still report
		for i := range 3 {
			must(t, db.Holders().End(t.Context(), "shop", fmt.Sprint("pod-", i)))
		}
		if got := held(t, db, "prod/db"); !slices.Equal(got, []string{"/ v1"}) {
			t.Errorf("those that weren't counted must outlast the others: %q", got)
		}
		c.advance(13 * time.Minute)
		if refused := report(t, db, "shop", "pod-3", "v1"); refused != nil {
			t.Errorf("there's room again, and %q is refused", refused)
		}
	})
}

func TestForgettingHolders(t *testing.T) {
	db := openAt(t, newDir(t), nil)
	report(t, db, "shop", "pod-1", "v1")
	report(t, db, "shop", "pod-2", "v1", "v2")
	n, err := db.Holders().Forget(t.Context(), "prod/db", "v2", "pod-2", access.Local("anna"), "it's gone")
	must(t, err)
	if got := held(t, db, "prod/db"); n != 1 || !slices.Equal(got, []string{"shop/pod-1 v1", "shop/pod-2 v2"}) {
		t.Errorf("%d forgotten, left: %q", n, got)
	}
	n, err = db.Holders().Forget(t.Context(), "prod/db", "v2", "", access.Local("anna"), "")
	must(t, err)
	if got := held(t, db, "prod/db"); n != 1 || !slices.Equal(got, []string{"shop/pod-2 v2"}) {
		t.Errorf("%d forgotten, left: %q", n, got)
	}
	records, err := db.Audit().Read(t.Context(), AuditQuery{Secret: "prod/db"})
	must(t, err)
	if len(records) != 2 || records[0].Entry.Actor != "anna" || records[0].Entry.Object != "pod-2" || records[0].Entry.Detail != "it's gone" {
		t.Errorf("the audit has %+v", records)
	}
}

func TestListening(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		c, dir := newClock(), newDir(t)
		db := openAt(t, dir, c.now)
		since := func() time.Time {
			t.Helper()
			at, err := db.Holders().ListeningSince(t.Context())
			must(t, err)
			return at
		}
		if at := since(); !at.IsZero() {
			t.Errorf("nobody listens, since %s", at)
		}
		began := c.now()
		for range 10 {
			must(t, db.Holders().Listen(t.Context()))
			c.advance(ListenEvery)
		}
		must(t, db.Close())
		db = openAt(t, dir, c.now)
		if at := since(); !at.Equal(began) {
			t.Errorf("after a restart: since %s, want %s", at, began)
		}
		c.advance(listenGap)
		if at := since(); !at.IsZero() {
			t.Errorf("after a gap: since %s", at)
		}
		must(t, db.Holders().Listen(t.Context()))
		if at := since(); !at.Equal(c.now()) {
			t.Errorf("after a gap somebody listens since %s, want %s", at, c.now())
		}
		must(t, db.MarkRestored(context.WithoutCancel(t.Context())))
		if at := since(); !at.IsZero() {
			t.Errorf("a restored database knows since when: %s", at)
		}
	})
}
