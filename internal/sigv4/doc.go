// Package sigv4 verifies AWS Signature Version 4: that the sender of a request
// has the secret of the access key it names, and that nothing signed was
// changed in transit. It signs nothing, stores no keys, and doesn't decide what
// a caller may do.
package sigv4
