package secretsmanager

import "io"

const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// random fills b. Without random numbers there is no going on, as with
// crypto/rand itself.
func (s *Server) random(b []byte) {
	if _, err := io.ReadFull(s.opts.Random, b); err != nil {
		panic("secretsmanager: no random numbers: " + err.Error())
	}
}

// below is a random number from 0 to n-1, n at most 256, each as likely.
func (s *Server) below(n int) int {
	var b [1]byte
	limit := 256 - 256%n
	for {
		s.random(b[:])
		if int(b[0]) < limit {
			return int(b[0]) % n
		}
	}
}

// pick makes a string of n characters of an alphabet.
func (s *Server) pick(alphabet string, n int) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = alphabet[s.below(len(alphabet))]
	}
	return string(out)
}
