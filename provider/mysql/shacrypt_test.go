package mysql

import "testing"

// The wanted digests are from crypt(3) of the GNU C library.
func TestSHACryptIsWhatCrypt3Computes(t *testing.T) {
	for _, test := range []struct {
		password, salt string
		rounds         int
		want           string
	}{
		{"Hello world!", "saltstring", 5000, "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"},
		{"Hello world!", "saltstringsaltst", 10000, "3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA"},
		{"a short string", "asaltof16chars..", 123456, "gP3VQ/6X7UUEW3HkBn2w1/Ptq2jxPyzV/cZKmF/wJvD"},
		{"we have a short salt string but not a short password", "short", 77777, "JiO1O3ZpDAxGJeaDIuqCoEFysAe1mZNJRs3pw0KQRd/"},
		{"", "xxxxxxxx", 1000, "TwF52/ibfTyuJoIIMJqOFRsaun2V6cZ/Z3o98ELxWrC"},
	} {
		if got := shaCrypt(test.password, test.salt, test.rounds); got != test.want {
			t.Errorf("%q: %s, want %s", test.password, got, test.want)
		}
	}
}
