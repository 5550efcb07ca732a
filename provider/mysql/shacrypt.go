package mysql

import (
	"crypto/sha256"
	"hash"
)

// shaCrypt is SHA-256-crypt by Ulrich Drepper's specification, as MySQL's
// caching_sha2_password uses it: with a salt of 20 characters, where the
// specification has at most 16. It returns the 43 characters of the digest.
func shaCrypt(password, salt string, rounds int) string {
	p := []byte(password)
	sum := func(do func(hash.Hash)) []byte {
		h := sha256.New()
		do(h)
		return h.Sum(nil)
	}
	b := sum(func(h hash.Hash) {
		h.Write(p)
		h.Write([]byte(salt))
		h.Write(p)
	})
	a := sum(func(h hash.Hash) {
		h.Write(p)
		h.Write([]byte(salt))
		h.Write(repeated(b, len(p)))
		for n := len(p); n > 0; n >>= 1 {
			if n&1 != 0 {
				h.Write(b)
			} else {
				h.Write(p)
			}
		}
	})
	ofPassword := repeated(sum(func(h hash.Hash) {
		for range p {
			h.Write(p)
		}
	}), len(p))
	ofSalt := repeated(sum(func(h hash.Hash) {
		for range 16 + int(a[0]) {
			h.Write([]byte(salt))
		}
	}), len(salt))
	c := a
	for i := range rounds {
		c = sum(func(h hash.Hash) {
			if i%2 != 0 {
				h.Write(ofPassword)
			} else {
				h.Write(c)
			}
			if i%3 != 0 {
				h.Write(ofSalt)
			}
			if i%7 != 0 {
				h.Write(ofPassword)
			}
			if i%2 != 0 {
				h.Write(c)
			} else {
				h.Write(ofPassword)
			}
		})
	}
	var out []byte
	for _, i := range shaOrder {
		out = append(out, shaText(uint32(c[i[0]])<<16|uint32(c[i[1]])<<8|uint32(c[i[2]]), 4)...)
	}
	return string(append(out, shaText(uint32(c[31])<<8|uint32(c[30]), 3)...))
}

// shaOrder is the order in which a digest's bytes are written, but for the last two.
var shaOrder = [10][3]int{
	{0, 10, 20}, {21, 1, 11}, {12, 22, 2}, {3, 13, 23}, {24, 4, 14},
	{15, 25, 5}, {6, 16, 26}, {27, 7, 17}, {18, 28, 8}, {9, 19, 29},
}

// shaText writes bits as characters of six each, the lowest first.
func shaText(bits uint32, n int) []byte {
	const alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	text := make([]byte, n)
	for i := range text {
		text[i] = alphabet[bits&63]
		bits >>= 6
	}
	return text
}

// repeated is a text repeated and cut to a length.
func repeated(text []byte, length int) []byte {
	var out []byte
	for len(out) < length {
		out = append(out, text[:min(len(text), length-len(out))]...)
	}
	return out
}
