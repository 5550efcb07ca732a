package rotation_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// marking is an issuer whose list says which version a token was made for. Each
// request to make one may arrive several times.
type marking struct {
	now    func() time.Time
	made   []rota.Issued
	times  int // that the next request arrives; 0 is once
	hides  time.Duration
	number int
	gone   []string
}

func (m *marking) Traits() rota.Traits {
	return rota.Traits{Kind: "token", IssuerChooses: true, TestSuccesses: 1, ConsistencyDelay: 10 * time.Second}
}
func (m *marking) CredentialID(c rota.Credential) string { return c.Field("id") }

func (m *marking) add(mark string) rota.Credential {
	m.number++
	m.made = append(m.made, rota.Issued{ID: fmt.Sprint("t", m.number), Active: true, CreatedAt: m.now(), Mark: mark})
	return tokenOf(m.number)
}

func (m *marking) Create(_ context.Context, r rota.CreateRequest) (rota.Credential, error) {
	c := m.add(r.Version)
	for ; m.times > 1; m.times-- {
		m.add(r.Version)
	}
	return c, nil
}

func (m *marking) Set(context.Context, rota.SetRequest) error   { return nil }
func (m *marking) Test(context.Context, rota.TestRequest) error { return nil }

func (m *marking) Delete(_ context.Context, r rota.RetireRequest) error {
	m.gone = append(m.gone, r.CredentialID)
	m.made = slices.DeleteFunc(m.made, func(i rota.Issued) bool { return i.ID == r.CredentialID })
	return nil
}

// List lags behind.
func (m *marking) List(context.Context) ([]rota.Issued, error) {
	return slices.DeleteFunc(slices.Clone(m.made), func(i rota.Issued) bool { return m.now().Sub(i.CreatedAt) < m.hides }), nil
}

func (m *marking) LastUsed(_ context.Context, id string) (rota.Use, error) {
	i := slices.IndexFunc(m.made, func(i rota.Issued) bool { return i.ID == id })
	if i < 0 {
		return rota.Use{}, rota.ErrNotFound
	}
	u := m.made[i].Use
	u.Evidence = rota.EvidenceRecorded
	return u, nil
}

func newMarking(t *testing.T) (*bench, *marking) {
	t.Helper()
	b := newBench(t)
	m := &marking{now: b.rotator.Now}
	b.secret.Issuer = m
	b.advance(t, rotation.Options{})
	b.days(90)
	return b, m
}

// A proxy sends a request again, so two tokens are made for one version. Rota has the
// answer of one, and knows by its mark that the other is its own too.
func TestTheSecondOfARequestThatArrivedTwiceIsRemoved(t *testing.T) {
	for _, hides := range []time.Duration{0, 5 * time.Second} {
		t.Run(hides.String(), func(t *testing.T) {
			b, m := newMarking(t)
			m.hides, m.times = hides, 3
			if got := steps(b.advance(t, rotation.Options{})); got != "create test promote deliver reload" {
				t.Errorf("it did %q", got)
			}
			b.next(t)
			b.next(t)
			if !slices.Equal(m.gone, []string{"t3", "t4"}) {
				t.Errorf("it removed %v", m.gone)
			}
			if n := len(b.progress(t).Intents); n > 0 {
				t.Errorf("%d intents are left", n)
			}
			said := false
			for _, e := range b.journal.Entries() {
				said = said || strings.Contains(e.Detail, "the request that created t2 arrived twice")
			}
			if !said {
				t.Error("the audit doesn't say why")
			}
		})
	}
}

// What may be somebody's, or was the answer, is left alone.
func TestOnlyTheSecondOfARequestIsRemoved(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *bench, *marking){
		"another's": func(_ *testing.T, b *bench, m *marking) { m.add("") },
		"one that was used": func(_ *testing.T, b *bench, m *marking) {
			m.add(m.made[1].Mark)
			m.made[2].Use.At = b.now
		},
		"one that has the mark long after": func(t *testing.T, b *bench, m *marking) {
			b.next(t)
			m.add(m.made[1].Mark)
		},
		"its own, of a rotation that was canceled": func(t *testing.T, b *bench, m *marking) {
			versions, err := b.store.Describe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			current, _ := rota.Find(versions.Versions, rota.LabelCurrent)
			before, _ := rota.Find(versions.Versions, rota.LabelPrevious)
			b.move(t, rota.LabelCurrent, current.ID, before.ID)
			for _, l := range current.Labels {
				if l != rota.LabelCurrent {
					b.move(t, l, current.ID, "")
				}
			}
			b.move(t, rota.LabelPrevious, current.ID, "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, m := newMarking(t)
			b.advance(t, rotation.Options{})
			change(t, b, m)
			for range 3 {
				b.now = b.now.Add(time.Minute)
				_, _ = b.rotator.Advance(t.Context(), b.secret, rotation.Options{})
			}
			if len(m.gone) > 0 {
				t.Errorf("it removed %v", m.gone)
			}
		})
	}
}
