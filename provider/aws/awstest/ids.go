package awstest

import (
	"encoding/binary"
	"encoding/hex"
)

const (
	upper32  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	alphanum = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	secret64 = alphanum + "+/"
)

// pick returns a random string of n characters from an alphabet, using the
// seeded source. The caller holds the mutex, here and below.
func (s *Server) pick(alphabet string, n int) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = alphabet[s.rand.IntN(len(alphabet))]
	}
	return string(out)
}

// newID returns a unique id in AWS's format: four letters for the kind, then 16
// characters.
func (s *Server) newID(prefix string) string { return prefix + s.pick(upper32, 16) }

func (s *Server) newSecretKey() string { return s.pick(secret64, 40) }

func (s *Server) newUUID() string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], s.rand.Uint64())
	binary.BigEndian.PutUint64(b[8:], s.rand.Uint64())
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
