// Package kms opens keys in key management services, which encrypt the store's
// master key: AWS KMS, Google Cloud KMS, Azure Key Vault, and the Transit
// engine of Vault and OpenBao. It is separate from package store so that users
// of a key file don't need these services' clients.
package kms
