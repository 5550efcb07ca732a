package rotation

import (
	"context"
	"errors"
	"slices"
	"testing"
)

func TestJoinTracers(t *testing.T) {
	var heard []string
	tracer := func(name string) Tracer {
		return func(ctx context.Context, s Span) (context.Context, func(error)) {
			heard = append(heard, name+" begins "+s.Name)
			return ctx, func(err error) { heard = append(heard, name+" ends with "+err.Error()) }
		}
	}
	if JoinTracers(nil, nil) != nil {
		t.Error("without a tracer there is one")
	}
	_, end := JoinTracers(nil, tracer("outer"), nil, tracer("inner"))(t.Context(), Span{Name: "turn"})
	end(errors.New("no"))
	want := []string{"outer begins turn", "inner begins turn", "inner ends with no", "outer ends with no"}
	if !slices.Equal(heard, want) {
		t.Errorf("heard %q, want %q", heard, want)
	}
}
