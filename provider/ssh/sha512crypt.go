package ssh

import (
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"strings"
)

// What Unix keeps of a password: SHA-512 crypt, as specified by Ulrich Drepper
// (https://www.akkadia.org/drepper/SHA-crypt.txt). Every libc reads it, musl's and
// the BSDs' too.

const (
	cryptPrefix = "$6$"
	cryptRounds = 5000
	cryptDigits = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	saltLength  = 16
)

// hashPassword hashes a password with a new salt.
func hashPassword(password string) string {
	random := make([]byte, saltLength)
	_, _ = rand.Read(random) // it never fails
	salt := make([]byte, saltLength)
	for i, b := range random {
		salt[i] = cryptDigits[b&63]
	}
	return sha512Crypt(password, string(salt))
}

// matches reports whether a hash is a password's; known is false if it was made in
// another way.
func matches(hash, password string) (same, known bool) {
	rest, ours := strings.CutPrefix(hash, cryptPrefix)
	salt, _, whole := strings.Cut(rest, "$")
	if !ours || !whole || strings.HasPrefix(salt, "rounds=") || len(salt) > saltLength {
		return false, false
	}
	return subtle.ConstantTimeCompare([]byte(sha512Crypt(password, salt)), []byte(hash)) == 1, true
}

func sha512Crypt(password, salt string) string {
	key := []byte(password)
	alternate := sha512.Sum512([]byte(password + salt + password))
	a := sha512.New()
	a.Write([]byte(password + salt))
	a.Write(repeat(alternate[:], len(key)))
	for n := len(key); n > 0; n >>= 1 {
		if n&1 != 0 {
			a.Write(alternate[:])
		} else {
			a.Write(key)
		}
	}
	digest := a.Sum(nil)

	p := sha512.New()
	for range key {
		p.Write(key)
	}
	keys := repeat(p.Sum(nil), len(key))
	s := sha512.New()
	for range 16 + int(digest[0]) {
		s.Write([]byte(salt))
	}
	salts := repeat(s.Sum(nil), len(salt))

	for round := range cryptRounds {
		c := sha512.New()
		if round%2 != 0 {
			c.Write(keys)
		} else {
			c.Write(digest)
		}
		if round%3 != 0 {
			c.Write(salts)
		}
		if round%7 != 0 {
			c.Write(keys)
		}
		if round%2 != 0 {
			c.Write(digest)
		} else {
			c.Write(keys)
		}
		digest = c.Sum(nil)
	}

	var b strings.Builder
	b.WriteString(cryptPrefix + salt + "$")
	write := func(x, y, z byte, n int) {
		for w := uint32(x)<<16 | uint32(y)<<8 | uint32(z); n > 0; n-- {
			b.WriteByte(cryptDigits[w&63])
			w >>= 6
		}
	}
	for i := range 21 { // the bytes in an order that goes around
		at := [3]int{i, i + 21, i + 42}
		first := i % 3
		write(digest[at[first]], digest[at[(first+1)%3]], digest[at[(first+2)%3]], 4)
	}
	write(0, 0, digest[63], 2)
	return b.String()
}

// repeat is a digest over and over, until it's so long.
func repeat(digest []byte, length int) []byte {
	out := make([]byte, 0, length+len(digest))
	for len(out) < length {
		out = append(out, digest...)
	}
	return out[:length]
}
