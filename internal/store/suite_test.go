package store

import (
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/providertest"
	"github.com/rota-dev/rota/rotation"
)

func TestStoreSuite(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		providertest.Store(t, func(t *testing.T) providertest.StoreFixture {
			dir := newDir(t)
			return providertest.StoreFixture{
				Store:  openAt(t, dir, nil).Secret("prod/app"),
				Reopen: func(t *testing.T) rota.Store { return openAt(t, dir, nil).Secret("prod/app") },
				Writes: 300,
			}
		})
	})
}

func TestJournalSuite(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		providertest.Journal(t, func(t *testing.T) providertest.JournalFixture {
			dir, c := newDir(t), newClock()
			db := openAt(t, dir, c.now)
			return providertest.JournalFixture{
				Journal: db.Journal(),
				Polling: providertest.Polling{Tick: func() { c.advance(time.Second) }},
				Advance: c.advance,
				Reopen:  func(t *testing.T) rotation.Journal { return openAt(t, dir, c.now).Journal() },
				Entries: func(t *testing.T) []rotation.Entry {
					records, err := db.Audit().Read(t.Context(), AuditQuery{})
					must(t, err)
					var entries []rotation.Entry
					for _, r := range records {
						entries = append(entries, r.Entry)
					}
					return entries
				},
			}
		})
	})
}
