package secretsmanager

import "io"

const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// readRandom fills b. Like crypto/rand itself, it crashes if there are no
// random numbers.
func (s *Server) readRandom(b []byte) {
	if _, err := io.ReadFull(s.opts.Random, b); err != nil {
		panic("secretsmanager: no random numbers: " + err.Error())
	}
}

// randomBelow is a uniformly distributed random number from 0 to n-1, with n at
// most 256.
func (s *Server) randomBelow(n int) int {
	var b [1]byte
	limit := 256 - 256%n
	for {
		s.readRandom(b[:])
		if int(b[0]) < limit {
			return int(b[0]) % n
		}
	}
}

// randomString returns n random characters from an alphabet.
func (s *Server) randomString(alphabet string, n int) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = alphabet[s.randomBelow(len(alphabet))]
	}
	return string(out)
}
