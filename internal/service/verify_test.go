package service

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/internal/store/anchor"
)

// place holds heads for a test.
type place struct {
	name  string
	heads []anchor.Head
	err   error
}

func (p place) Name() string                                 { return p.name }
func (p place) Put(context.Context, anchor.Head) error       { return nil }
func (p place) Heads(context.Context) ([]anchor.Head, error) { return p.heads, p.err }

// Who can break one place must not keep anyone from seeing what another one shows.
func TestOnePlaceHidesNothingThatAnotherShows(t *testing.T) {
	cut := anchor.Head{Seq: 7}
	down := errors.New("no such host")
	stray := &anchor.StrayError{Places: []string{"heads:1"}}
	for name, places := range map[string][]anchor.Destination{
		"a place that's down":              {place{"a", nil, down}, place{"b", []anchor.Head{cut}, nil}},
		"a place with something else":      {place{"a", nil, stray}, place{"b", []anchor.Head{cut}, nil}},
		"something else in the same place": {place{"b", []anchor.Head{cut}, stray}},
	} {
		l := &Local{Caller: access.Caller{Principal: "p", Rules: []access.Rule{{Action: access.Audit, Pattern: "*"}}}, Anchors: places}
		_, err := l.Verify(t.Context())
		if _, ok := errors.AsType[*store.TamperError](err); !ok || !strings.HasPrefix(err.Error(), "the heads in b: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
