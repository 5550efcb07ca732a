package redis

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/hex"
	"sync"
)

// ids remembers the ids of passwords by their hashes.
type ids struct{ known sync.Map }

// idRounds makes guessing a password by its id as slow as guessing it by a login.
const idRounds = 1 << 16

// of is the id of a user's password, which may be logged: the user's name, and
// 32 bits of a slow hash of what Redis itself keeps, the password's SHA-256. Redis
// has no other name for a password. What Rota generates can't be guessed anyway, but
// a person's password that is adopted might be, and SHA-256 alone would tell.
func (i *ids) of(user, hash string) string {
	key := user + "\x00" + hash
	if id, ok := i.known.Load(key); ok {
		return id.(string)
	}
	sum, err := pbkdf2.Key(sha256.New, hash, []byte("rota redis "+user), idRounds, 4)
	if err != nil { // only with parameters that FIPS 140 forbids
		first := sha256.Sum256([]byte("rota redis " + key))
		sum = first[:4]
	}
	id := user + ":" + hex.EncodeToString(sum)
	i.known.Store(key, id)
	return id
}

// hashOf is a password as ACL GETUSER shows it.
func hashOf(password string) string {
	sum := sha256.Sum256([]byte(password))
	return hex.EncodeToString(sum[:])
}
