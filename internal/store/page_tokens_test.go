package store

import (
	"bytes"
	"slices"
	"testing"
)

func TestPageTokensAreReadByEveryReplica(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		dir := newDir(t)
		one, other := openAt(t, dir, nil), openAt(t, dir, nil)
		if text, err := other.PageTokens().Open(t.Context(), []byte("early")); err != nil || text != nil {
			t.Errorf("before the first, a token opens as %q, %v", text, err)
		}
		sealed, err := one.PageTokens().Seal(t.Context(), []byte("prod/hush"))
		must(t, err)
		if bytes.Contains(sealed, []byte("hush")) {
			t.Errorf("%q shows the text", sealed)
		}
		if text, err := other.PageTokens().Open(t.Context(), sealed); err != nil || string(text) != "prod/hush" {
			t.Errorf("the other replica reads %q, %v", text, err)
		}
		bad := slices.Clone(sealed)
		bad[len(bad)-1] ^= 1
		for _, token := range [][]byte{bad, nil, []byte("prod/hush")} {
			if text, err := other.PageTokens().Open(t.Context(), token); err != nil || text != nil {
				t.Errorf("%q opens as %q, %v", token, text, err)
			}
		}
	})
}
