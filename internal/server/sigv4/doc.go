// Package sigv4 verifies AWS Signature Version 4: that whoever sent a request
// has the secret of the access key that it names, and that nothing signed was
// changed on the way. It signs nothing, knows no keys, and does not say what a
// caller may do.
package sigv4
