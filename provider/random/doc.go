// Package random issues keys that no outside system has to know: for HMACs,
// JWTs, cookies and encryption, and key pairs whose public half is published as
// a JWK Set.
//
// A credential is a whole key ring: the key to sign or encrypt with, the keys
// that came before it, and the next one. Whoever verifies accepts them all, so
// that it makes no difference who gets a new ring first: a signer that already
// has it signs with a key that everyone has known since the rotation before,
// and one that hasn't yet, with a key that everyone still accepts.
package random
