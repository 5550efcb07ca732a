package sigv4

import (
	"fmt"
	"testing"
)

func TestDerivedKeysAreKeptUpToALimit(t *testing.T) {
	var c keyCache
	s := Signature{KeyID: "key", Day: "20260504", Region: "r", Service: "s"}
	if first, again := c.derive(s, "hush"), c.derive(s, "hush"); &first[0] != &again[0] {
		t.Error("it was derived again")
	}
	for i := range maxCachedKeys + 10 {
		s.KeyID = fmt.Sprint(i)
		c.derive(s, "hush")
	}
	if len(c.keys) != maxCachedKeys {
		t.Errorf("%d keys are kept, want %d", len(c.keys), maxCachedKeys)
	}
}
