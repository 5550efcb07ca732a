package postgres

import (
	"testing"

	"github.com/rota-dev/rota/provider/providertest"
)

// Whichever call fails, and whether before or after it took effect, the next
// delivery leaves the row with the credential, and a row that's added is added once.
func TestARowIsWrittenOnceWhicheverCallFails(t *testing.T) {
	s := shared.Get(t)
	for _, way := range ways {
		for _, kind := range []providertest.FaultKind{providertest.FailBefore, providertest.LoseReply} {
			t.Run(way.name+", a call "+string(kind), func(t *testing.T) {
				calls, failed := 0, 0
				for ; ; calls++ {
					table, login := keysTable(t, s)
					c, p := through(t, s, loginConfig(s, login))
					target := c.Row("settings", rowOf(t, table, way.write, way.read))
					permit(t, s, target)
					deliver(t, target, 1)
					before := written(t, s, table)
					p.mu.Lock()
					p.kind, p.skip, p.left = kind, calls, 2 // a session that's found dead is replaced once
					p.mu.Unlock()
					if err := target.Deliver(t.Context(), delivery(2)); err != nil {
						failed++
					}
					p.mu.Lock()
					hit := p.left < 2
					p.skip, p.left = 0, 0
					p.mu.Unlock()
					deliver(t, target, 2)
					holds(t, s, way, table, 2)
					if more := written(t, s, table) - before; way.read != "" && more != 1 {
						t.Errorf("call %d: %d writes", calls, more)
					}
					p.close()
					c.Close()
					if !hit {
						break
					}
				}
				if calls < 4 || failed < 2 {
					t.Errorf("%d calls, of which %d made the delivery fail", calls, failed)
				}
			})
		}
	}
}
